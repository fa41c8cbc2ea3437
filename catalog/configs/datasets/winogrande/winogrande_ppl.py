# The perplexity variant with dialogue rounds. OpenCompass has no file of this name;
# evaluations written for older versions of it do.
from mmengine.config import read_base

with read_base():
    from .winogrande_ppl_55a66e import winogrande_datasets
