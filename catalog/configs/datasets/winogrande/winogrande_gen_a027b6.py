# WinoGrande, 0-shot, asked in three ways: both full sentences; the model writes
# the letter of the good one.
from opencompass.datasets import WinograndeDatasetV2
from opencompass.openicl.icl_evaluator import AccEvaluator
from opencompass.openicl.icl_inferencer import GenInferencer
from opencompass.openicl.icl_prompt_template import PromptTemplate
from opencompass.openicl.icl_retriever import ZeroRetriever
from opencompass.utils.text_postprocessors import first_option_postprocess

winogrande_reader_cfg = dict(input_columns=['opt1', 'opt2'], output_column='answer')

winogrande_eval_cfg = dict(
    evaluator=dict(type=AccEvaluator),
    pred_role='BOT',
    pred_postprocessor=dict(type=first_option_postprocess, options='AB'),
)

_asked = [
    'Which of the following is a good sentence:',
    'Which is a good sentence out of the following:',
    'Can you identify a good sentence from the following:',
]

winogrande_datasets = [
    dict(
        type=WinograndeDatasetV2,
        abbr=f'winogrande_prompt_{_number}',
        path='opencompass/winogrande',
        reader_cfg=winogrande_reader_cfg,
        infer_cfg=dict(
            prompt_template=dict(
                type=PromptTemplate,
                template=dict(round=[dict(role='HUMAN', prompt=_text + '\nA. {opt1}\nB. {opt2}\nAnswer:')]),
            ),
            retriever=dict(type=ZeroRetriever),
            inferencer=dict(type=GenInferencer),
        ),
        eval_cfg=winogrande_eval_cfg,
    )
    for _number, _text in enumerate(_asked, 1)
]
