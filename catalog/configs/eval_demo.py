# The demonstration: two benchmarks of common sense, asked of the model that comes
# with the program. Needs no network and no accelerator.
from mmengine.config import read_base

with read_base():
    from .datasets.siqa.siqa_ppl import siqa_datasets
    from .datasets.winogrande.winogrande_ppl import winogrande_datasets
    from .models.opt.opt_demo import opt_demo

datasets = [*siqa_datasets, *winogrande_datasets]
models = [opt_demo]
