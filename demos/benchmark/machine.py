"""The machine, as the benchmarks need it: two cores, memory and CPU time. Linux only."""
from __future__ import absolute_import, division, print_function

import os
import platform
import resource
import subprocess


class BenchmarkError(Exception):
    """The measurement cannot continue, or its result would be meaningless."""


def parse_cpu_list(text):
    """The numbers in a list as the kernel writes it: "0-2,5" is [0, 1, 2, 5]."""
    numbers = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        numbers.extend(range(int(first), int(last or first) + 1))
    return numbers


def allowed_cores():
    """The numbers of the cores that this process may use."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("Cpus_allowed_list:"):
                return parse_cpu_list(line.split(":")[1])
    raise BenchmarkError("/proc/self/status does not say which cores may be used")


def two_cores():
    """(core for the servers, core for the load): as far apart as possible.

    With a single core they are the same, and the figures say little.
    """
    allowed = allowed_cores()
    return allowed[0], allowed[-1]


def on_core(core, command):
    """`command` (a list of arguments) as one that runs on `core` only."""
    return ["taskset", "-c", str(core)] + command


def pin_self(core):
    """Pin this process, and processes it starts from now on, to `core`."""
    try:
        with open(os.devnull, "w") as nowhere:
            subprocess.check_call(["taskset", "-cp", str(core), str(os.getpid())], stdout=nowhere)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BenchmarkError("taskset (of util-linux) is needed: %s" % error)


def has_program(name):
    return any(os.access(os.path.join(folder, name), os.X_OK)
               for folder in os.environ.get("PATH", os.defpath).split(os.pathsep))


def parse_stat(data):
    """(process group, clock ticks spent) from the bytes of a /proc/<pid>/stat, proc(5).

    The command's name is in brackets and may itself hold spaces and brackets.
    """
    fields = data[data.rindex(b")") + 1:].split()
    return int(fields[2]), int(fields[11]) + int(fields[12])


def parse_resident(data):
    """The resident bytes from the bytes of a /proc/<pid>/status; 0 for a zombie."""
    for line in data.splitlines():
        if line.startswith(b"VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def _read(path):
    try:
        with open(path, "rb") as source:
            return source.read()
    except EnvironmentError:  # the process has ended since it was listed
        return None


def _members(group):
    """[(pid, ticks)] of the living processes of a process group."""
    members = []
    for name in os.listdir("/proc"):
        data = _read("/proc/%s/stat" % name) if name.isdigit() else None
        if data:
            its_group, ticks = parse_stat(data)
            if its_group == group:
                members.append((name, ticks))
    return members


def _nanoseconds(pid):
    """The CPU time of the living threads of a process; 0 if the kernel does not count it so."""
    try:
        threads = os.listdir("/proc/%s/task" % pid)
    except OSError:  # the process has ended since it was listed
        return 0
    counted = [_read("/proc/%s/task/%s/schedstat" % (pid, thread)) for thread in threads]
    return sum(int(data.split()[0]) for data in counted if data)


def cpu_seconds(group):
    """The CPU time, user and system, that the living processes of `group` have spent.

    Where the kernel does not count nanoseconds, it counts ticks of 10 ms: measure over a second
    or more.
    """
    members = _members(group)
    counted = sum(_nanoseconds(pid) for pid, _ in members) / 1e9
    return counted or sum(ticks for _, ticks in members) / os.sysconf("SC_CLK_TCK")


def at_least_a_tick(seconds):
    """The difference of two `cpu_seconds`, or a tick if it is less than the kernel counts."""
    return max(seconds, 1 / os.sysconf("SC_CLK_TCK"))


def resident_bytes(group):
    """The resident memory of all processes of `group`, added up."""
    return sum(parse_resident(_read("/proc/%s/status" % pid) or b"")
               for pid, _ in _members(group))


def allow_files(count):
    """Raise the limit of open files of this process and its children to `count`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            raise BenchmarkError("%d open files are needed and %d are allowed: see ulimit -Hn"
                                 % (count, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def processor():
    """The name of the processor, or an empty string if the kernel does not say it."""
    for line in (_read("/proc/cpuinfo") or b"").decode("utf-8", "replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return u""


def description():
    return "%s %s, %s %s" % (platform.python_implementation(), platform.python_version(),
                             platform.system(), platform.machine())
