# facebook/opt-13b, a base model. Licence: OPT-175B licence (non-commercial).
from opencompass.models import HuggingFaceBaseModel

opt13b = dict(
    type=HuggingFaceBaseModel,
    abbr='opt-13b-hf',
    path='facebook/opt-13b',
    max_out_len=1024,
    batch_size=8,
    run_cfg=dict(num_gpus=0),
)

models = [opt13b]
