# facebook/opt-1.3b, a base model. Licence: OPT-175B licence (non-commercial).
from opencompass.models import HuggingFaceBaseModel

opt1_3b = dict(
    type=HuggingFaceBaseModel,
    abbr='opt-1.3b-hf',
    path='facebook/opt-1.3b',
    max_out_len=1024,
    batch_size=16,
    run_cfg=dict(num_gpus=0),
)

models = [opt1_3b]
