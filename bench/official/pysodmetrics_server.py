"""PySODMetrics, in an environment of its own: reads a request a line, as JSON, and answers each with a line.

``{"load": [PRED.npy, GT.npy]}`` keeps a pair of uint8 images; ``{"measure": [NAME, ...]}`` gives its values by key.
"""

import json
import sys

import cv2
import numpy as np
from py_sod_metrics import MAE, Emeasure, FmeasureHandler, FmeasureV2, Smeasure, WeightedFmeasure
from py_sod_metrics.utils import prepare_data


def by_threshold(key, values):
    curve = {f"max_{key}": values["curve"].max(), f"mean_{key}": values["curve"].mean()}
    return {**curve, f"adaptive_{key}": values["adp"]}


def f_measure(pred, gt):
    handler = FmeasureHandler(with_adaptive=True, with_dynamic=True, beta=0.3)
    measure = FmeasureV2({"f": handler})
    measure.step(pred, gt, normalize=False)
    values = measure.get_results()["f"]
    return by_threshold("f", {"curve": values["dynamic"], "adp": values["adaptive"]})


def results(measure, pred, gt):
    measure.step(pred, gt, normalize=False)
    return measure.get_results()


MEASURES = {
    "mean_absolute_error": lambda *pair: {"mae": results(MAE(), *pair)["mae"]},
    "f_measure": f_measure,
    "weighted_f_measure": lambda *pair: {"weighted_f": results(WeightedFmeasure(), *pair)["wfm"]},
    "s_measure": lambda *pair: {"s": results(Smeasure(), *pair)["sm"]},
    "e_measure": lambda *pair: by_threshold("e", results(Emeasure(), *pair)["em"]),
}


def main():
    cv2.setNumThreads(1)
    pair = None
    for line in sys.stdin:
        request = json.loads(line)
        answer = {}
        if "load" in request:
            pair = [np.load(path) for path in request["load"]]
        else:
            prepared = prepare_data(*pair)  # stretched once for all measures, which its documentation leaves to each
            for name in request["measure"]:
                answer |= MEASURES[name](*prepared)
        print(json.dumps({key: float(value) for key, value in answer.items()}), flush=True)


if __name__ == "__main__":
    main()
