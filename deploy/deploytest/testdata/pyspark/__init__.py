"""What outflow_spark.py needs of pyspark, in one process: each task is tried four times, as Spark does it."""

import os


class AccumulatorParam:
    pass


class Accumulator:
    def __init__(self, value, param):
        self.value, self.param = value, param

    def add(self, more):
        self.value = self.param.addInPlace(self.value, more) if self.param else self.value + more


class SparkConf:
    def setAppName(self, name):
        return self

    def get(self, key, default):
        return default


class SparkFiles:
    @staticmethod
    def get(name):
        return os.path.join(os.environ["SPARK_FILES"], name)


class Numbers(list):
    def foreach(self, f):
        for number in self:
            for attempt in range(4):
                try:
                    f(number)
                    break
                except RuntimeError as error:
                    if attempt == 3:
                        raise RuntimeError(f"Job aborted: {error}\nDriver stacktrace:")


class SparkContext:
    @classmethod
    def getOrCreate(cls, conf):
        return cls()

    def getConf(self):
        return SparkConf()

    def accumulator(self, value, param=None):
        return Accumulator(value, param)

    def setJobGroup(self, group, description, interruptOnCancel):
        print("job:", description)

    def cancelJobGroup(self, group):
        pass

    def parallelize(self, numbers, slices):
        return Numbers(numbers)

    def stop(self):
        print("stopped")
