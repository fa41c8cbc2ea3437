# WinoGrande, 0-shot: both full sentences; the model writes the letter of the good
# one. Kept for its name: winogrande_gen_a027b6 has this prompt as its first.
from opencompass.datasets import WinograndeDatasetV2
from opencompass.openicl.icl_evaluator import AccEvaluator
from opencompass.openicl.icl_inferencer import GenInferencer
from opencompass.openicl.icl_prompt_template import PromptTemplate
from opencompass.openicl.icl_retriever import ZeroRetriever
from opencompass.utils.text_postprocessors import first_option_postprocess

winogrande_reader_cfg = dict(input_columns=['opt1', 'opt2'], output_column='answer')

asked = 'Which of the following is a good sentence:\nA. {opt1}\nB. {opt2}\nAnswer:'
winogrande_infer_cfg = dict(
    prompt_template=dict(
        type=PromptTemplate,
        template=dict(round=[dict(role='HUMAN', prompt=asked)]),
    ),
    retriever=dict(type=ZeroRetriever),
    inferencer=dict(type=GenInferencer),
)

winogrande_eval_cfg = dict(
    evaluator=dict(type=AccEvaluator),
    pred_role='BOT',
    pred_postprocessor=dict(type=first_option_postprocess, options='AB'),
)

winogrande_datasets = [
    dict(
        type=WinograndeDatasetV2,
        abbr='winogrande',
        path='./data/winogrande',
        reader_cfg=winogrande_reader_cfg,
        infer_cfg=winogrande_infer_cfg,
        eval_cfg=winogrande_eval_cfg,
    ),
]
