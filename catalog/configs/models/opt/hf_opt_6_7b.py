# facebook/opt-6.7b, a base model. Licence: OPT-175B licence (non-commercial).
from opencompass.models import HuggingFaceBaseModel

opt6_7b = dict(
    type=HuggingFaceBaseModel,
    abbr='opt-6.7b-hf',
    path='facebook/opt-6.7b',
    max_out_len=1024,
    batch_size=8,
    run_cfg=dict(num_gpus=0),
)

models = [opt6_7b]
