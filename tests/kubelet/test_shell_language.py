"""The shell of simulated containers against programs whose output a real shell printed.

The table's outputs and exit codes were printed by dash; another test asks the dash of this machine.
"""

from __future__ import annotations

import shutil
import subprocess

import pytest

from kubesim.kubelet.process.programs import run_to_end
from kubesim.kubelet.process.start import start
from kubesim.kubelet.shell.files import FileSystem
from kubesim.kubelet.shell.state import ContainerHost

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/root"}

# (program, stdout, exit code)
PROGRAMS = [
    ("echo hi; exit 3", "hi\n", 3),
    ("for i in 1 2 3; do echo $i; done", "1\n2\n3\n", 0),
    ('i=0; while [ $i -lt 5 ]; do echo "n $i"; i=$((i+1)); done', "n 0\nn 1\nn 2\nn 3\nn 4\n", 0),
    ('seq 1 5 | while read x; do echo "<$x>"; done | tail -n 2', "<4>\n<5>\n", 0),
    (
        'A="a b  c"; for x in $A; do echo "[$x]"; done; echo "$A"; echo $A',
        "[a]\n[b]\n[c]\na b  c\na b c\n",
        0,
    ),
    (
        'set -- a "b c" d; for x in "$@"; do echo "[$x]"; done; echo $#; shift; echo "$*"',
        "[a]\n[b c]\n[d]\n3\nb c d\n",
        0,
    ),
    ("false || echo no; true && echo yes; ! true; echo $?", "no\nyes\n1\n", 0),
    ("x=$(echo hi; exit 4); echo $? $x", "4 hi\n", 0),
    (
        "echo ${U:-default} ${U-} ${U:=set} $U ${#U} ${U%t} ${U#s} ${U:+plus}",
        "default set set 3 se et plus\n",
        0,
    ),
    (
        "F=/a/b/c.tar.gz; echo ${F##*/} ${F%.*} ${F%%.*} ${F#*/}",
        "c.tar.gz /a/b/c.tar /a/b/c a/b/c.tar.gz\n",
        0,
    ),
    ('if [ -n "" ]; then echo a; elif [ 3 -gt 2 ]; then echo b; else echo c; fi', "b\n", 0),
    ("case foo.txt in *.md|*.rst) echo md;; *.txt) echo txt;; *) echo other;; esac", "txt\n", 0),
    ('f() { echo "f $1 $#"; return 3; }; f a b; echo $?', "f a 2\n3\n", 0),
    ('(cd /tmp; pwd; X=1); pwd; echo "$X."', "/tmp\n/\n.\n", 0),
    ("echo a b | tr a-z A-Z; printf '%s-%d\\n' a 1 b 2", "A B\na-1\nb-2\n", 0),
    ("cat <<EOF\nhello $((1+2))\n`echo bq`\nEOF\necho after", "hello 3\nbq\nafter\n", 0),
    ("cat <<'EOF'\nno $expansion\nEOF", "no $expansion\n", 0),
    ("set -e; false; echo never", "", 1),
    ("set -e; if false; then :; fi; false || true; echo ok", "ok\n", 0),
    ("set -u; echo $NOPE; echo never", "", 2),
    (
        "echo one >&2; echo two 2>&1; ls /nonexistent_x 2>/dev/null || echo failed",
        "two\nfailed\n",
        0,
    ),
    (
        "echo $((2+3*4)) $(( (2+3)*4 )) $((7/2)) $((-7/2)) $((7%3)) $((1<2)) $((1&&0))",
        "14 20 3 -3 1 1 0\n",
        0,
    ),
    (
        "for i in 1 2 3 4; do [ $i = 2 ] && continue; [ $i = 4 ] && break; echo $i; done",
        "1\n3\n",
        0,
    ),
    (
        "for i in 1 2; do for j in a b; do [ $j = b ] && continue 2; echo $i$j; done; done",
        "1a\n2a\n",
        0,
    ),
    ('true; echo "$?"; (exit 7); echo $?', "0\n7\n", 0),
    ("X=1 env | grep ^X=", "X=1\n", 0),
    ('X=5; Y=$X$X; echo "$Y" \'$Y\' \\$Y "\\$Y"', "55 $Y $Y $Y\n", 0),
    ('printf "%5s|%-5s|%05d\\n" a b 42', "    a|b    |00042\n", 0),
    ("{ echo a; echo b; } | sort -r", "b\na\n", 0),
    ("yes | head -3", "y\ny\ny\n", 0),
    ("while true; do echo x; done | head -n 2", "x\nx\n", 0),
    ("echo a; echo b & wait; echo c", "a\nb\nc\n", 0),
    ('test "a" = "a" -a 1 -eq 1 && echo both; [ ! -e /nope ] && echo none', "both\nnone\n", 0),
    ('read a b <<EOF\none two three\nEOF\necho "$a/$b"', "one/two three\n", 0),
    ('echo "$(echo "nested $(echo deep)")"', "nested deep\n", 0),
    ("eval 'x=3; echo $x'", "3\n", 0),
    ("echo abc | cut -c 2-3; echo a:b:c | cut -d: -f 1,3", "bc\na:c\n", 0),
    ("printf \"b\\na\\nb\\n\" | sort | uniq -c | tr -s ' ' | cut -d' ' -f 2", "1\n2\n", 0),
    ('until [ "$n" = xxx ]; do n=x$n; done; echo $n', "xxx\n", 0),
    ('echo ""; echo; echo -n a; echo b', "\n\nab\n", 0),
    ("X=; echo ${X:-e}${X-n}; unset X; echo ${X-n}", "e\nn\n", 0),
    ('set -- ; echo "$@" end; for x in "$@"; do echo no; done', "end\n", 0),
    ("for f in; do echo no; done; echo ok", "ok\n", 0),
    ("if true; then echo a\nfi\necho b # comment\n# another\necho c", "a\nb\nc\n", 0),
    ("echo a\\\nb", "ab\n", 0),
    ("foo() { local v=1; echo $v; }\nfoo", "1\n", 0),
    ("exec echo done; echo never", "done\n", 0),
    ("command -v echo >/dev/null && echo has", "has\n", 0),
    ('IFS_TEST="x"; echo "${IFS_TEST}y"', "xy\n", 0),
    ("a=1; a=$a b=2; echo $a$b", "12\n", 0),
    ("x='*'; echo \"$x\"; echo '*'", "*\n*\n", 0),
    ("echo $(seq 3)", "1 2 3\n", 0),
    ("trap 'echo bye' TERM; echo hi", "hi\n", 0),
    ("sleep 0 && echo slept", "slept\n", 0),
    ("if ! false; then echo n; fi; while ! true; do :; done; echo end", "n\nend\n", 0),
    ("fi", "", 2),
    ('echo "unterminated', "", 2),
    ("for i in 1; do echo", "", 2),
    ("echo )", "", 2),
    ("exit 300", "", 44),
]


def host(**files: str) -> ContainerHost:
    """A container at 1970 with some files below /data."""
    return ContainerHost(
        "web-0", FileSystem({f"/data/{name}": text for name, text in files.items()}), lambda: 0.0
    )


def output(*command: str, **files: str) -> tuple[str, str, int, float]:
    """Run a command; return stdout, stderr, exit code and seconds."""
    run = start(command, host(**files), ENVIRONMENT)
    assert run is not None
    result = run_to_end(run)
    return result.stdout, result.stderr, result.code, result.seconds


@pytest.mark.parametrize(("program", "stdout", "code"), PROGRAMS)
def test_a_program_prints_what_a_real_shell_prints(program: str, stdout: str, code: int) -> None:
    """Stdout and exit code; the words of errors differ from shell to shell."""
    printed, _, exit_code, _ = output("sh", "-c", program)
    assert (printed, exit_code) == (stdout, code)


@pytest.mark.skipif(shutil.which("dash") is None, reason="there is no dash on this machine")
def test_the_table_is_what_dash_prints() -> None:
    """The expected values are not ours."""
    for program, stdout, code in PROGRAMS:
        real = subprocess.run(
            ["dash", "-c", program],
            capture_output=True,
            text=True,
            cwd="/",
            env=ENVIRONMENT,
            timeout=60,
        )
        assert (real.stdout, real.returncode) == (stdout, code), program


@pytest.mark.parametrize(
    ("program", "stdout"),
    [
        ("for i in {1..3}; do echo $i; done", "1\n2\n3\n"),
        ("[[ abc == a* && 2 -gt 1 ]] && echo yes", "yes\n"),
        ("((2 > 1)) && echo yes", "yes\n"),
        ("x=hello; echo ${x:1:3} ${x/l/L} ${x//l/L}", "ell heLlo heLLo\n"),
        ("cat <<< word", "word\n"),
        ("set -euo pipefail; echo on", "on\n"),
        ("set -o pipefail; false | true; echo $?; (exit 3) | false | true; echo $?", "1\n1\n"),
        ("set -o pipefail; yes | head -n 1; echo $?; set +o pipefail; false | true", "y\n141\n"),
        ("set -eo pipefail; false | true; echo never", ""),
        (
            "printf 'ab\\n\\na.\\n' | grep -c .; echo axb | grep '^a.b$'; echo b | grep a.",
            "2\naxb\n",
        ),
        ("echo -e 'a\\tb'", "a\tb\n"),
        ("ls /nothing &> /tmp/log; cat /tmp/log", "ls: /nothing: No such file or directory\n"),
    ],
)
def test_what_bash_adds(program: str, stdout: str) -> None:
    """Braces, double brackets, substrings, here-strings."""
    assert output("bash", "-c", program)[0] == stdout


def test_a_shell_inside_of_a_shell() -> None:
    """It has the exported variables, and options of its own."""
    program = "A=1; export B=2; set -e; sh -c 'false; echo \"[$A][$B]\"'; echo x | bash -c 'cat'"
    assert output("sh", "-c", program)[0] == "[][2]\nx\n"


def test_time_passes_in_sleep_and_timeout() -> None:
    """Simulated seconds, by unit; `timeout` ends a program with 143."""
    assert output("sh", "-c", "sleep 2; sleep 1m; sleep 0.5")[3] == 62.5
    assert output("timeout", "5", "sleep", "10")[2:] == (143, 5.0)
    assert output("sh", "-c", "sleep 3 | true; echo done")[3] == 3.0


def test_a_pipeline_ends_with_its_reader() -> None:
    """The writer goes on up to its next line, which nobody reads."""
    program = "while true; do date +%s; sleep 1; done | head -n 3"
    assert output("sh", "-c", program) == ("0\n0\n0\n", "", 0, 3.0)


def test_files() -> None:
    """Written, read, appended, listed, moved; a script in a file is run."""
    script = "echo one > /tmp/a; echo two >> /tmp/a; mv /tmp/a /tmp/b; cat /tmp/b; ls /data"
    assert output("sh", "-c", script, script="x")[0] == "one\ntwo\nscript\n"
    assert output("sh", "/data/hi", "you", hi='echo "hi $1"')[0] == "hi you\n"
    assert output("sh", "/data/nothing")[2] == 127
    assert output("cat", "/data", x="")[1:3] == ("cat: /data: Is a directory\n", 1)


def test_what_is_not_simulated() -> None:
    """As a container's command it is left to the kubelet; inside of `exec` it is not found."""
    assert start(["nginx", "-g", "daemon off;"], host(), {}) is None
    run = start(["sh", "-c", "nginx || echo no"], host(), {}, foreign=False)
    assert run is not None
    assert run_to_end(run).stdout == "no\n"
