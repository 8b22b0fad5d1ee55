"""Reads what `strata export` wrote with the trackers' own packages and prints a line a value."""

import os
import struct
import sys

tracker, folder = sys.argv[1:]


def tensorboard():
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for run in sorted(os.listdir(folder)):
        events = EventAccumulator(os.path.join(folder, run)).Reload()
        for tag in events.Tags()["scalars"]:
            for event in events.Scalars(tag):
                print(run, tag, event.step, f"{event.value:.6g}")


def mlflow():
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    from mlflow import MlflowClient

    client = MlflowClient(f"file://{os.path.abspath(folder)}")
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id]):
            print(run.info.run_name, "status", run.info.status)
            print(run.info.run_name, "train.lr", run.data.params["train.lr"])
            for tag in run.data.metrics:
                for metric in client.get_metric_history(run.info.run_id, tag):
                    print(run.info.run_name, tag, metric.step, f"{metric.value:.6g}")


def wandb():
    from wandb.proto.wandb_internal_pb2 import Record

    for run in sorted(os.listdir(folder)):
        (file,) = [name for name in os.listdir(os.path.join(folder, run)) if name.endswith(".wandb")]
        data = open(os.path.join(folder, run, file), "rb").read()
        assert data[:7] == b":W&B\xe1\xbe\x00"
        at, message = 7, b""
        while at < len(data):
            left = 32768 - at % 32768
            if left < 7:
                at += left
                continue
            _, length, kind = struct.unpack("<IHB", data[at : at + 7])
            message += data[at + 7 : at + 7 + length]
            at += 7 + length
            if kind in (1, 4):
                record = Record.FromString(message)
                message = b""
                if record.HasField("run"):
                    name = record.run.display_name
                    settings = {item.key: item.value_json for item in record.run.config.update}
                    print(name, "train.lr", settings["train.lr"])
                for item in record.history.item:
                    print(name, item.key, record.history.step.num, f"{float(item.value_json):.6g}")
                for item in record.summary.update:
                    print(name, "summary", item.key, f"{float(item.value_json):.6g}")


{"tensorboard": tensorboard, "mlflow": mlflow, "wandb": wandb}[tracker]()
