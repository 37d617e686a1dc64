"""Languages about text that a container's programs speak: patterns, formats, `sed` and `awk`.

They know no files and no clock: `kubesim.kubelet.shell.editors` passes them their lines.
"""
