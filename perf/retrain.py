"""The default run, trained anew under the same seed with other rounding: `python perf/retrain.py FOLDER`.

Leaves FOLDER/0, the run as it comes, and FOLDER/1 and so on, each with other instruction sets for torch, oneDNN or
MKL, which is what another processor does. On a processor that lacks an instruction set two of them may train the same
networks: `results/baseline.py` says so. A folder that is complete is not run again. Takes some ten minutes a folder on
two cores.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from arguments import writable

ROUNDINGS: tuple[dict[str, str], ...] = (
    {},
    {"ATEN_CPU_CAPABILITY": "avx2"},
    {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    {"MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    {"ONEDNN_MAX_CPU_ISA": "SSE41"},
)
HELD = "vaex,gan-search,hybrid,dvae"
SPARED = ("--set", "data.probes=1", "--set", "autoencoders.epochs=1")
"""What no held number rests on."""


def main(folder: Path, *options: str) -> None:
    """Run what is not there yet; ends with the code of a run that fails, which has said why."""
    for place, rounding in enumerate(ROUNDINGS):
        run = folder / str(place)
        if (run / "rounding.json").exists():
            continue
        command = [
            sys.executable,
            "-m",
            "benchmark",
            "run",
            "--methods",
            HELD,
            *SPARED,
            "--results",
            str(run),
            *options,
        ]
        if code := subprocess.run(command, env=os.environ | rounding, check=False).returncode:
            sys.exit(code)
        (run / "rounding.json").write_text(json.dumps(rounding), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("folder", type=writable, help="what the runs are kept in; other options go to benchmark run")
    given, others = parser.parse_known_args()
    main(given.folder, *others)
