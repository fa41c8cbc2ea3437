# The demonstration: two benchmarks of common sense, asked of the model that comes
# with the program. Needs no network and no accelerator.
from mmengine.config import read_base

with read_base():
    from .datasets.siqa.siqa_ppl import siqa_datasets
    from .datasets.winogrande.winogrande_ppl import winogrande_datasets
    from .models.opt.opt_demo import opt_demo

datasets = [*siqa_datasets, *winogrande_datasets]
models = [opt_demo]

# How it is run: parts of at most this cost, as many workers as there are processors.
from opencompass.partitioners import NaivePartitioner, SizePartitioner
from opencompass.runners import LocalRunner
from opencompass.tasks import OpenICLEvalTask, OpenICLInferTask

infer = dict(
    partitioner=dict(type=SizePartitioner, max_task_size=5000),
    runner=dict(
        type=LocalRunner,
        max_num_workers=64,
        task=dict(type=OpenICLInferTask)),
)

eval = dict(
    partitioner=dict(type=NaivePartitioner),
    runner=dict(
        type=LocalRunner,
        max_num_workers=32,
        task=dict(type=OpenICLEvalTask)),
)
