"""Experiments: policies against traffic, over seeds, scored in one table.

    from kubesim.experiment import Contender, compare
    from kubesim.traffic import Diurnal

    print(compare(
        policies={"target 50": Contender(target=50), "target 80": Contender(target=80)},
        traffic={"a day": Diurnal(low=20, high=200)},
        seeds=range(3),
        duration=86_400,
    ).table())

Reading order: setting, scores, fleet, model, cluster_run, compare.
"""

from kubesim.experiment.compare import Comparison, compare
from kubesim.experiment.model import simulate
from kubesim.experiment.scores import Run, Scores
from kubesim.experiment.setting import Contender, World

__all__ = ["Comparison", "Contender", "Run", "Scores", "World", "compare", "simulate"]
