"""A night of outflow as stages on Apache Spark.

    spark-submit --files outflow,outflow.yaml outflow_spark.py --config outflow.yaml --work s3://security/outflow/stages

The driver runs `outflow stage plan`, a Spark task for each fold of the plan, one for each join, one for each merge, and
`outflow stage judge`.
A stage takes its input only from the plan and the store, and puts its output in place in one step. So Spark may run it
twice, kill it, or run it elsewhere, and the result is that of one machine. docs/scale.md says how to submit this.
"""

import argparse
import concurrent.futures
import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import tempfile

from pyspark import AccumulatorParam, SparkConf, SparkContext, SparkFiles

HOPELESS = (2, 4)  # usage, no input: running again does not help
LOOK = 1           # seconds between two looks at a stage
TELL = 30          # looks between two lines about its progress


class Failed(Exception):
    """A stage that will not be tried again. Its text says which, and what outflow said last."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


class Failures(AccumulatorParam):
    """Failures of tasks, as a list of pairs of exit code and text."""

    def zero(self, value):
        return []

    def addInPlace(self, some, more):
        return some + more


def end_with_parent():
    """Makes the process end when its parent does: Spark kills the Python worker of an attempt, not what that has started."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def here(name):
    """Returns where a file is on this machine: where Spark has put it, or as it is named."""
    return next((os.path.abspath(p) for p in (SparkFiles.get(os.path.basename(name)), name) if os.path.exists(p)), name)


def outflow(given, cores, stage, *args):
    """Runs a stage. Returns its exit code, what it printed, and which stage it was with the last of its messages.

    The messages go to the log of the executor, or of the driver, as they come. cores is how many the stage may use; None: all.
    """
    name = " ".join([stage, *args[-1:]]) if cores else stage
    config = here(given.config)
    env = dict(os.environ, **({"OUTFLOW_WORKERS": cores} if cores else {}))
    if "SPARK_LOCAL_DIRS" in env:
        env["TMPDIR"] = env["SPARK_LOCAL_DIRS"].split(",")[0]
    line = ""
    with tempfile.TemporaryFile("w+", errors="replace") as out:
        try:
            process = subprocess.Popen(
                [here(given.program), "stage", stage, "--config", config, *args],
                cwd=os.path.dirname(config) or None,  # files that the configuration names are beside it
                env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, text=True, errors="replace",
                preexec_fn=end_with_parent if sys.platform == "linux" else None)
        except OSError as error:
            return 2, "", f"{name}: {error}"
        with process:
            for line in process.stderr:
                print(f"{name}: {line}", end="", file=sys.stderr, flush=True)
        out.seek(0)
        printed = out.read()
    code = process.returncode if process.returncode >= 0 else 128 - process.returncode  # of a signal, as shells have it
    return code, printed, f"{name}: exit {code}: {line.strip()}"


def on_driver(given, *args):
    """Runs a stage on this machine and returns what it printed."""
    code, printed, text = outflow(given, None, *args)
    if code:
        print(printed, end="")  # a night with findings, if it was asked to fail for them
        raise Failed(code, text)
    return printed


def on_cluster(sc, given, about, stage, count, *args):
    """Runs a stage for each index below count, as one Spark job in which the task's index is the stage's."""
    if count == 0:
        return
    done, rows, size, failures = sc.accumulator(0), sc.accumulator(0), sc.accumulator(0), sc.accumulator([], Failures())
    cores = sc.getConf().get("spark.task.cpus", "1")

    def task(index):
        code, printed, text = outflow(given, cores, stage, "--as", "json", *args, str(index))
        if code in HOPELESS:
            failures.add([(code, text)])  # Spark would answer an exception with another attempt
        elif code:
            raise RuntimeError(text)
        else:
            counted = json.loads(printed)
            done.add(1)
            rows.add(counted["rows"])
            size.add(counted["bytes"])

    def run():
        sc.setJobGroup(stage, f"outflow {stage}: {about}", interruptOnCancel=True)
        sc.parallelize(range(count), count).foreach(task)

    def tell():
        print(f"outflow {stage}: {done.value} of {count}, {rows.value:,} rows, {size.value:,} bytes", file=sys.stderr, flush=True)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        job, looks = pool.submit(run), 0
        while not concurrent.futures.wait([job], LOOK).done:
            looks += 1
            if failures.value:
                sc.cancelJobGroup(stage)
            elif looks % TELL == 0:
                tell()
    tell()
    if failures.value:
        raise Failed(*failures.value[0])
    if error := job.exception():  # Java's, with the last attempt's text in it
        text = re.search(rf"{stage} \d+: exit (\d+): .*", str(error))
        raise Failed(int(text[1]), text[0]) if text else error


def main():
    parser = argparse.ArgumentParser(description="Run a night of outflow on Spark. Further arguments are those of outflow stage plan.")
    parser.add_argument("--config", required=True, help="the configuration, which all machines must have")
    parser.add_argument("--program", default="outflow", help="outflow, on all machines")
    given, others = parser.parse_known_args()
    sc = SparkContext.getOrCreate(SparkConf().setAppName("outflow"))
    try:
        plan = json.loads(on_driver(given, "plan", "--as", "json", *others))
        uri = plan["plan"]
        on_cluster(sc, given, f"{plan['objects']:,} log objects of {plan['bytes']:,} bytes", "fold", plan["tasks"], "--plan", uri, "--task")
        on_cluster(sc, given, f"the connections of {plan['tasks']:,} tasks", "join", plan["joins"], "--plan", uri, "--part")
        on_cluster(sc, given, f"the runs of {plan['tasks']:,} tasks", "merge", plan["shards"], "--plan", uri, "--shard")
        print(on_driver(given, "judge", "--plan", uri), end="")
    except Failed as failed:
        print(f"outflow: {failed}", file=sys.stderr)
        sys.exit(failed.code)
    finally:
        if "DATABRICKS_RUNTIME_VERSION" not in os.environ:  # where the context is the cluster's
            sc.stop()


if __name__ == "__main__":
    main()
