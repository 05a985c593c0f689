"""Processes of what is compared: how they are run, what they said before they failed, their memory."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
import subprocess
import sys
import threading
import time

# Seconds between two looks at a process's memory, at least.
PAUSE = 0.1
# A look takes the time of a core, the more the more memory there is: so many times as long passes
# before the next one, so that looking takes a twentieth of a core at most.
REST = 20
# Lines of a failed process that are shown.
TAIL = 40


class Failed(Exception):
    """A process has ended with a failure; tells the last lines it wrote."""


class Memory(threading.Thread):
    """What a process and its children hold, in bytes, looked at again and again as they run.

    Counted is their proportional set size (Pss, swapped pages included), so that pages which
    several of them share count once.
    """

    def __init__(self, process: int):
        super().__init__(daemon=True)
        self.process = process
        self.samples = []
        self.over = threading.Event()
        self.start()

    def run(self) -> None:
        spent = 0.0
        while not self.over.wait(max(PAUSE, REST * spent)):
            began, moment = time.thread_time(), time.time()
            self.samples.append((moment, sum(map(proportional, family(self.process)))))
            spent = time.thread_time() - began

    def end(self) -> None:
        """Stops looking."""
        self.over.set()
        self.join()

    def peak(self, began_s: float = 0.0, ended_s: float = math.inf) -> int:
        """The most between two moments (seconds since 1970), or just before them if nobody looked."""
        before = [held for moment, held in self.samples if moment <= ended_s]
        within = [held for moment, held in self.samples if began_s <= moment <= ended_s]
        peak = max(within or before[-1:], default=0)
        assert peak > 0, "no memory was seen: is there /proc/PID/smaps_rollup, and were there lines enough?"
        return peak


@dataclasses.dataclass
class Ran:
    """A process that has ended well."""

    output: str
    memory: Memory | None


def run(command: list, watched: bool = False) -> Ran:
    """Runs a program to its end; fails with the last lines of its errors if it does."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    )
    memory = Memory(process.pid) if watched else None
    try:
        output, errors = process.communicate()
    finally:
        # Unless it has ended, this one was told to.
        process.kill()
        if memory:
            memory.end()
    if process.returncode != 0:
        last = "\n".join((errors.strip() or output.strip()).splitlines()[-TAIL:])
        called = " ".join(map(str, command))
        raise Failed(f"`{called}` ended with {process.returncode}; the last it wrote:\n{last}")
    return Ran(output, memory)


def child(script: str, *arguments: str) -> tuple:
    """Runs a script as a process of its own: what it prints as JSON, and its most memory."""
    ran = run([sys.executable, script, *arguments], watched=True)
    return json.loads(ran.output.strip().splitlines()[-1]), ran.memory.peak()


def family(process: int) -> list:
    """A process and all that came of it."""
    found, waiting = [], [process]
    while waiting:
        one = waiting.pop()
        found.append(one)
        for children in pathlib.Path(f"/proc/{one}/task").glob("*/children"):
            try:
                waiting += map(int, children.read_text().split())
            except OSError:
                pass
    return found


def proportional(process: int) -> int:
    """Bytes of a process in memory, shared pages divided among those who share them."""
    try:
        text = pathlib.Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        # It has ended meanwhile.
        return 0
    lines = [line for line in text.splitlines() if line.startswith(("Pss:", "SwapPss:"))]
    return sum(int(line.split()[1]) * 1024 for line in lines)
