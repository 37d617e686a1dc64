"""`grep`, `sed`, `awk` and others against what the real programs printed (dash, sed 4.9, mawk)."""

from __future__ import annotations

import random
import re

import pytest

from kubesim.apiserver.verbs.subresources import CommandResult
from kubesim.kubelet.process.programs import run_to_end
from kubesim.kubelet.process.start import start
from kubesim.kubelet.shell.files import FileSystem
from kubesim.kubelet.shell.state import ContainerHost
from kubesim.kubelet.text.patterns import Effort
from kubesim.kubelet.text.patternsyntax import compile_pattern

# (program, stdout, exit code)
PROGRAMS = [
    ("printf 'a b c\\nd e f\\n' | awk '{print $2}'", "b\ne\n", 0),
    (
        "printf 'a:b\\nc:d\\n' | awk -F: '{print $2, $1; n++} END {print NR, n}'",
        "b a\nd c\n2 2\n",
        0,
    ),
    ("seq 10 | awk '$1 > 5 {s += $1} END {print s, s/NR, s % 7, 2^3, -2^2}'", "40 4 5 8 -4\n", 0),
    (
        (
            "printf 'x 1\\ny 2\\nx 3\\n' | awk '{c[$1]+=$2} END {print c[\"x\"], "
            'c["y"], length(c)}\''
        ),
        "4 2 2\n",
        0,
    ),
    (
        (
            "echo 'hello world' | awk '{print toupper($1), length($2), substr($0,3,4), "
            'index($0,"wor")}\''
        ),
        "HELLO 5 llo  7\n",
        0,
    ),
    (
        ('awk \'BEGIN {for (i=0;i<3;i++) printf "%d-%s\\n", i, "a"; while (x<2) {x++; print x}}\''),
        "0-a\n1-a\n2-a\n1\n2\n",
        0,
    ),
    (
        ("echo 'a-b-c' | awk '{n=split($0,p,\"-\"); print n, p[1], p[3]; gsub(/-/,\"+\"); print}'"),
        "3 a c\na+b+c\n",
        0,
    ),
    ("echo '10 9' | awk '{print ($1>$2 ? \"y\":\"n\")}'", "y\n", 0),
    ("printf '1\\n2\\n3\\n4\\n' | awk 'NR%2==0'", "2\n4\n", 0),
    (
        "printf 'foo 1\\nbar 2\\n' | awk '/^f/ {print $NF; next} {print \"no\", $(NF-1)}'",
        "1\nno bar\n",
        0,
    ),
    ("awk 'BEGIN {exit 3}'; echo $?", "3\n", 0),
    ("echo x | awk '{exit 4} END {print \"end\"}'; echo $?", "end\n4\n", 0),
    (
        ('awk -v n=5 \'BEGIN {print n*2, n "a"; if (n==5) print "five"; else print "other"}\''),
        "10 5a\nfive\n",
        0,
    ),
    (
        "df=1; echo '/dev/sda 10% x' | awk '{gsub(\"%\",\"\",$2); print $2+1; print}'",
        "11\n/dev/sda 10 x\n",
        0,
    ),
    ("echo 'a b' | awk '{$3=\"c\"; print NF, $0; $1=\"\"; print}'", "3 a b c\n b c\n", 0),
    ("echo 'k=v' | awk -F= '$1==\"k\" {print $2}'", "v\n", 0),
    ("echo 'a  b' | awk -F' ' '{print NF}'", "2\n", 0),
    ("echo 'a|b|c' | awk -F'|' '{print $3, NF}'", "c 3\n", 0),
    (
        (
            "echo 'a12b3' | awk '{ if (match($0,/[0-9]+/)) print RSTART, RLENGTH, "
            "substr($0,RSTART,RLENGTH)}'"
        ),
        "2 2 12\n",
        0,
    ),
    (
        ('awk \'BEGIN { printf "%5.2f|%-5s|%05d|%x|%c|%%\\n", 3.14159, "ab", 42, 255, "xyz" }\''),
        " 3.14|ab   |00042|ff|x|%\n",
        0,
    ),
    (
        (
            'awk \'BEGIN { x = "A"; y = x x; print y; x += 2; print x; print !x, !"", '
            '!0; print 1==1.0, "a"<"b" }\''
        ),
        "AA\n2\n0 1 1\n1 1\n",
        0,
    ),
    ("printf 'one\\ntwo\\n' | awk 'END{print $0, NR}'", "two 2\n", 0),
    ("echo \"a,b;c\" | awk -F'[,;]' '{print $1 $2 $3}'", "abc\n", 0),
    ("echo 5 | awk '{ print $1++ + ++$1, $1 }'", "12 7\n", 0),
    (
        "awk 'BEGIN{print 1,2;print(1)(2);print -1 \" \" -1;print 1-1, 2 -1}'",
        "1 2\n12\n-1-1\n0 1\n",
        0,
    ),
    ('awk \'BEGIN{OFS="-";print "a","b"; $0="x y"; $1=$1; print}\'', "a-b\nx-y\n", 0),
    (
        (
            'awk \'BEGIN{ if (!(3 in a)) print "none"; for (i=5;i>0;i--) { if (i==4) '
            "continue; if (i==2) break; print i } }'"
        ),
        "none\n5\n3\n",
        0,
    ),
    (
        (
            'awk \'BEGIN { s = "aaa"; print gsub(/a/,"&b",s), s; print '
            'sub(/x*/,"-",s), s; t="abc"; gsub(/x*/,"-",t); print t}\''
        ),
        "3 ababab\n1 -ababab\n-a-b-c-\n",
        0,
    ),
    ("echo 'abcabc' | sed 's/b/X/'", "aXcabc\n", 0),
    ("echo 'abcabc' | sed 's/b/X/g; s/a/[&]/2'", "aXc[a]Xc\n", 0),
    ("echo 'hello' | sed -E 's/(l+)o/<\\1>/; s/^/> /'", "> he<ll>\n", 0),
    ("echo 'path/to' | sed 's|/|.|g;s#p#P#'", "Path.to\n", 0),
    ("seq 5 | sed -n '2p;$p'", "2\n5\n", 0),
    ("seq 10 | sed -n '3,5p'", "3\n4\n5\n", 0),
    ("seq 10 | sed '3,8d;$d'", "1\n2\n9\n", 0),
    ("seq 10 | sed -n '/3/,/5/p'", "3\n4\n5\n", 0),
    ("seq 5 | sed '2q'", "1\n2\n", 0),
    ("seq 5 | sed -e '1d' -e 's/3/three/'", "2\nthree\n4\n5\n", 0),
    ("printf 'a\\n\\nb\\n' | sed '/^$/d'", "a\nb\n", 0),
    ("printf 'a\\nb\\n' | sed '/a/!d'", "a\n", 0),
    ("printf 'k: v\\n' | sed -n 's/^k: *\\(.*\\)$/\\1/p'", "v\n", 0),
    ("echo abc | sed 'y/abc/xyz/'", "xyz\n", 0),
    ("seq 3 | sed '2{s/2/two/;p}'", "1\ntwo\ntwo\n3\n", 0),
    ("seq 3 | sed '2i\\\nbefore' | sed '$a end'", "1\nbefore\n2\n3\nend\n", 0),
    ("seq 3 | sed '2c\\\nchanged'", "1\nchanged\n3\n", 0),
    ("seq 3 | sed -n '$='", "3\n", 0),
    ("echo 'aXbxc' | sed 's/x/-/gI'", "a-b-c\n", 0),
    ("echo abc | sed 's/x*/-/g'", "-a-b-c-\n", 0),
    ("echo baaac | sed 's/a*/x/g'", "xbxcx\n", 0),
    ("echo baaac | sed 's/a*/x/2'", "bxc\n", 0),
    ("echo 'a.b' | sed 's/\\./\\n/'", "a\nb\n", 0),
    ("printf 'no newline' | sed 's/no/NO/'", "NO newline", 0),
    ("echo 'foo bar' | sed -r 's/(\\w+) (\\w+)/\\2 \\1/'", "bar foo\n", 0),
    (
        (
            "seq 12 | grep '1[0-2]'; seq 12 | grep -E '^(1|2)$'; seq 12 | grep -c 1; "
            "echo abc | grep -o 'b.'; printf 'a.b\\naxb\\n' | grep -F a.b"
        ),
        "10\n11\n12\n1\n2\n4\nbc\na.b\n",
        0,
    ),
    (
        (
            "printf 'foo\\nfoobar\\n' | grep -w foo; printf 'foo\\nfoobar\\n' | grep "
            "-x foobar; printf 'A\\n' | grep -i a; printf 'a\\nb\\n' | grep -n b; "
            "printf 'a\\nb\\n' | grep -v a; grep zz /etc/hostname_nope 2>/dev/null; "
            "echo $?"
        ),
        "foo\nfoobar\nA\n2:b\nb\n2\n",
        0,
    ),
    (
        (
            "printf 'ERROR x\\nok\\n' | grep -E 'ERROR|WARN'; printf 'a\\nb\\nc\\n' | "
            "grep -m1 -e '[bc]'"
        ),
        "ERROR x\nb\n",
        0,
    ),
    (
        (
            "basename /a/b/c.txt .txt; basename /a/b/; dirname /a/b/c; dirname c; "
            "dirname /c; basename /"
        ),
        "c\nb\n/a/b\n.\n/\n/\n",
        0,
    ),
    (
        (
            "printf '3 b\\n1 c\\n2 a\\n' | sort -k2; printf '3 b\\n10 c\\n2 a\\n' | "
            "sort -n -r; printf 'b:2\\na:10\\n' | sort -t: -k2 -n; printf "
            "'b\\na\\nb\\n' | sort -u"
        ),
        "2 a\n3 b\n1 c\n10 c\n3 b\n2 a\nb:2\na:10\na\nb\n",
        0,
    ),
    (
        ("seq 5 | tail -n +3; printf 'a\\na\\nb\\n' | uniq -d; printf 'a\\na\\nb\\n' | uniq -u"),
        "3\n4\n5\na\nb\n",
        0,
    ),
]


def result_of(program: str) -> CommandResult:
    """Run a program to its end."""
    files = FileSystem({"/etc/hostname": "web-0\n", "/etc/app.conf": "port=80\nhost=a\n"})
    run = start(["sh", "-c", program], ContainerHost("web-0", files, lambda: 0.0), {"A": "1"})
    assert run is not None
    return run_to_end(run)


@pytest.mark.parametrize(("program", "stdout", "code"), PROGRAMS)
def test_a_program_prints_what_the_real_one_prints(program: str, stdout: str, code: int) -> None:
    """Stdout and exit code."""
    result = result_of(program)
    assert (result.stdout, result.code) == (stdout, code), result.stderr


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("seq 3 | awk 'NR==1, NR==2'", "ranges of patterns are not simulated"),
        ("awk 'BEGIN { \"date\" | getline x }'", "getline is not simulated"),
        ("awk 'BEGIN { print 1 > \"/tmp/x\" }'", "output to files and pipes is not simulated"),
        ("awk 'function f() { }'", "function is not simulated"),
        ("awk 'BEGIN { RS=\"\" }'", "RS is not simulated"),
        ("awk 'BEGIN { print systime() }'", "the function systime is not simulated"),
        ("awk 'BEGIN { print 1/0 }'", "division by zero"),
        ("awk '{ print $1'", "syntax error near 'end of the program'"),
        ("awk --posix 1", "the option --posix is not simulated"),
        ("awk 'BEGIN { x[1]=1; print x }'", "x is an array"),
        ("echo a | sed 'N;P'", "the command `N' is not simulated"),
        ("echo a | sed 's/a/\\U&/'", "\\U in a replacement is not simulated"),
        ("echo a | sed 's/a/b'", "unterminated"),
        ("echo a | sed 's/a/b/w x'", "the option `w' of `s' is not simulated"),
        ("echo a | sed -s p", "the option -s is not simulated"),
        ("echo a | sed 's/\\(a\\)\\1/b/'", "back-references in patterns are not simulated"),
        ("echo a | grep -P a", "the option -P is not simulated"),
        ("echo a | grep 'a\\('", "Unmatched ( or"),
        ("echo a | grep -A 1 a", "the option -A is not simulated"),
        ("seq 3 | sort -k 1.2", "not simulated"),
    ],
)
def test_what_is_not_simulated_fails(program: str, message: str) -> None:
    """With an error and exit code 2, never with a wrong answer."""
    result = result_of(program)
    assert (result.stdout, result.code) == ("", 2)
    assert message in result.stderr


def test_files_are_edited_in_place() -> None:
    """As init containers do with a copy of their configuration."""
    program = "sed -i 's/port=.*/port=8080/; /host/d' /etc/app.conf; cat /etc/app.conf"
    assert result_of(program).stdout == "port=8080\n"
    assert result_of("sed -i s/a/b/ /nope").code == 2
    assert result_of("awk 'BEGIN { print ENVIRON[\"A\"] }'").stdout == "1\n"
    assert result_of("awk '{ print FILENAME, FNR }' /etc/hostname").stdout == "/etc/hostname 1\n"


def _random_pattern(draw: random.Random, depth: int = 0) -> str:
    kind = draw.random()
    if depth > 3 or kind < 0.45:
        return draw.choice(["a", "b", "c", ".", "[ab]", "[^a]"])
    if kind < 0.6:
        return _random_pattern(draw, depth + 1) + _random_pattern(draw, depth + 1)
    if kind < 0.75:
        times = draw.choice(["*", "+", "?", "{1,2}", ""])
        return f"({_random_pattern(draw, depth + 1)}){times}"
    return f"({_random_pattern(draw, depth + 1)}|{_random_pattern(draw, depth + 1)})"


def _leftmost_longest(pattern: str, text: str) -> tuple[int, int] | None:
    """Return where a pattern matches, by trying every part of the text."""
    compiled = re.compile(pattern)
    for begin in range(len(text) + 1):
        for end in range(len(text), begin - 1, -1):
            if compiled.fullmatch(text[begin:end]):
                return begin, end
    return None


def test_the_leftmost_and_longest_match_wins() -> None:
    """Random patterns against every part of random texts."""
    draw = random.Random(1)
    for _ in range(1_000):
        pattern = _random_pattern(draw)
        text = "".join(draw.choice("abc") for _ in range(draw.randint(0, 7)))
        match = compile_pattern(pattern, Effort(), extended=True).search(text)
        span = None if match is None else (match.start, match.end)
        assert span == _leftmost_longest(pattern, text), (pattern, text)


@pytest.mark.parametrize(
    "program",
    [
        "awk 'BEGIN { while (1) x = x \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" }'",
        "awk 'BEGIN { while (1) a[n++] = 1 }'",
        'awk \'BEGIN { s = "a"; for (;;) gsub(/a/, "aa", s) }\'',
        "awk 'BEGIN { $100000000 = 1 }'",
        "awk 'BEGIN { x = " + "(" * 500 + "1" + ")" * 500 + " }'",
        "awk 'BEGIN { x = " + "1+" * 500 + "1 }'",
        "awk 'BEGIN { " + "if (1) " * 500 + "x = 1 }'",
        "awk 'BEGIN { x = 0; while (n++ < 17) x = x x; print x }' | sed -E 's/(0*)*1/x/'",
        "echo a | sed -E 's/((((a{200}){200}){200}){200}){200}/x/'",
        "echo a | sed '" + "{" * 100 + "p" + "}" * 100 + "'",
        "echo a | grep '" + "\\(" * 100 + "a" + "\\)" * 100 + "'",
    ],
)
def test_what_would_take_all_time_or_memory_fails(program: str) -> None:
    """It ends with a message; no traceback."""
    result = result_of(program)
    assert result.code in (2, 137)
    assert result.code == 137 or result.stderr


def test_an_endless_awk_takes_simulated_time() -> None:
    """It is killed after an hour, which costs the simulator little."""
    assert result_of("awk 'BEGIN { while (1) n++ }'").seconds == 3_600.0
