# What parity_test.go runs; README.md says how the recorded outputs were made.
from opencompass.models import HuggingFaceBaseModel, HuggingFaceCausalLM
from opencompass.openicl.icl_prompt_template import PromptTemplate
from opencompass.openicl.icl_retriever import FixKRetriever, ZeroRetriever, SlidingWindowRetriever
from opencompass.openicl.icl_retriever.icl_random_retriever import RandomRetriever
from opencompass.openicl.icl_inferencer import PPLInferencer, GenInferencer, LLInferencer, PPLOnlyInferencer
from opencompass.openicl.icl_evaluator import AccEvaluator, AccwithDetailsEvaluator, AveragePPLEvaluator
from opencompass.utils.text_postprocessors import first_capital_postprocess, first_option_postprocess
from opencompass.datasets import siqaDataset, SiqaDatasetV3, WinograndeDataset, WinograndeDatasetV2, WinograndeDatasetV3
from opencompass.partitioners import SizePartitioner, NaivePartitioner
from opencompass.runners import LocalRunner
from opencompass.tasks import OpenICLInferTask, OpenICLEvalTask

social = dict(input_columns=['context', 'question', 'answerA', 'answerB', 'answerC'], output_column='label', train_split='train', test_split='validation')
letters = dict(input_columns=['context', 'question', 'A', 'B', 'C'], output_column='answer', train_split='train', test_split='validation')
quiz = dict(input_columns=['opt1', 'opt2'], output_column='answer')
shots = dict(input_columns=['opt1', 'opt2'], output_column='answer', train_split='train_xs', test_split='dev')
accuracy = dict(evaluator=dict(type=AccEvaluator))
details = dict(evaluator=dict(type=AccwithDetailsEvaluator))
option = dict(evaluator=dict(type=AccwithDetailsEvaluator), pred_role='BOT', pred_postprocessor=dict(type=first_option_postprocess, options='AB'))
capital = dict(evaluator=dict(type=AccEvaluator, pred_postprocessor=dict(type=first_capital_postprocess)))

by_label = dict(type=PromptTemplate, template={
    1: '</E>{context} Q: {question} A: {answerA}', 2: '</E>{context} Q: {question} A: {answerB}', 3: '</E>{context} Q: {question} A: {answerC}'}, ice_token='</E>')
dialogue = dict(type=PromptTemplate, ice_token='</E>', template=dict(
    begin=[dict(role='SYSTEM', fallback_role='HUMAN', prompt='Answer with a letter.'), '</E>'],
    round=[dict(role='HUMAN', prompt='{context} {question}\nA. {A}\nB. {B}\nC. {C}'), dict(role='BOT', prompt='The answer is {answer}')]))
turns = dict(type=PromptTemplate, template={
    i: dict(round=[dict(role='HUMAN', prompt='{context}\n{question}'), dict(role='BOT', prompt=f'{{answer{"ABC"[i - 1]}}}')]) for i in range(1, 4)})
good = dict(type=PromptTemplate, template=dict(round=[dict(role='HUMAN', prompt='Which is a good sentence?\nA. {opt1}\nB. {opt2}\nAnswer:')]))
zero = dict(type=ZeroRetriever)

datasets = [
    dict(abbr='ppl', type=siqaDataset, path='./social', n=2, reader_cfg=social, eval_cfg=accuracy,
         infer_cfg=dict(prompt_template=turns, retriever=zero, inferencer=dict(type=PPLInferencer))),
    dict(abbr='ppl_fixk', type=siqaDataset, path='./social', reader_cfg=dict(test_range='[-3:]', **social), eval_cfg=accuracy,
         infer_cfg=dict(ice_template=by_label, retriever=dict(type=FixKRetriever, fix_id_list=[4, 0, 2]), inferencer=dict(type=PPLInferencer))),
    dict(abbr='ppl_range', type=siqaDataset, path='./social', reader_cfg=dict(test_range=3, **social), eval_cfg=accuracy,
         infer_cfg=dict(prompt_template=turns, retriever=zero, inferencer=dict(type=PPLInferencer, labels=[3, 1]))),
    dict(abbr='ppl_only', type=WinograndeDatasetV2, path='./quiz', reader_cfg=dict(input_columns=['opt1'], output_column=None), eval_cfg=dict(evaluator=dict(type=AveragePPLEvaluator)),
         infer_cfg=dict(prompt_template=dict(type=PromptTemplate, template='{opt1}'), retriever=zero, inferencer=dict(type=PPLOnlyInferencer))),
    dict(abbr='ll', type=WinograndeDataset, path='./quiz', reader_cfg=quiz, eval_cfg=accuracy,
         infer_cfg=dict(prompt_template=dict(type=PromptTemplate, template={1: '{opt1}', 2: '{opt2}'}), retriever=zero, inferencer=dict(type=LLInferencer))),
    dict(abbr='ll_fixk', type=WinograndeDatasetV3, path='./quiz', reader_cfg=shots, eval_cfg=details,
         infer_cfg=dict(ice_template=dict(type=PromptTemplate, template=dict(A='{opt1}', B='{opt2}')),
                        prompt_template=dict(type=PromptTemplate, template=dict(A='</E>{opt1}', B='</E>{opt2}'), ice_token='</E>'),
                        retriever=dict(type=FixKRetriever, fix_id_list=[1, 3]), inferencer=dict(type=LLInferencer))),
    dict(abbr='gen', type=WinograndeDatasetV2, path='./quiz', n=2, k=[1, 2], reader_cfg=quiz, eval_cfg=option,
         infer_cfg=dict(prompt_template=good, retriever=zero, inferencer=dict(type=GenInferencer))),
    dict(abbr='gen_random', type=SiqaDatasetV3, path='./social', reader_cfg=dict(test_range=0.7, **letters), eval_cfg=capital,
         infer_cfg=dict(ice_template=dialogue, retriever=dict(type=RandomRetriever, ice_num=2, seed=7), inferencer=dict(type=GenInferencer, max_out_len=5, stopping_criteria=['\n', 'zzz']))),
    dict(abbr='gen_window', type=WinograndeDatasetV2, path='./quiz', reader_cfg=dict(test_range='[::2]', **quiz), eval_cfg=option,
         infer_cfg=dict(ice_template=dict(type=PromptTemplate, template='</E>1. {opt1} 2. {opt2} = {answer}', ice_token='</E>'),
                        retriever=dict(type=SlidingWindowRetriever, k=1), inferencer=dict(type=GenInferencer, max_out_len=4, min_out_len=2))),
]

path = 'sextant/opt-demo'
exact = dict(torch_dtype='torch.float')
left = dict(padding_side='left', truncation_side='left')
roles = dict(begin='<s>', round=[dict(role='HUMAN', begin='Human: ', end='\n'), dict(role='BOT', begin='Bot: ', end='\n', generate=True)], end='</s>')
cpu = dict(num_gpus=0)
models = [
    dict(type=HuggingFaceBaseModel, abbr='base', path=path, max_out_len=6, batch_size=3, model_kwargs=exact, run_cfg=cpu, generation_kwargs=dict(do_sample=False)),
    dict(type=HuggingFaceBaseModel, abbr='base_ends', path=path, max_out_len=6, max_seq_len=31, batch_size=1, drop_middle=True, stop_words=['.'], model_kwargs=exact, run_cfg=cpu),
    dict(type=HuggingFaceCausalLM, abbr='causal', path=path, max_out_len=6, max_seq_len=70, batch_size=4, mode='mid', end_str='\n', model_kwargs=exact, run_cfg=cpu),
    dict(type=HuggingFaceCausalLM, abbr='causal_batch', path=path, max_out_len=6, max_seq_len=40, batch_size=3, batch_padding=True, tokenizer_kwargs=left, meta_template=roles,
         model_kwargs=exact, run_cfg=cpu, generation_kwargs=dict(min_new_tokens=3, max_new_tokens=20)),
    dict(type=HuggingFaceCausalLM, abbr='causal_right', path=path, max_out_len=6, max_seq_len=512, batch_size=3, batch_padding=True, model_kwargs=exact, run_cfg=cpu),
]
infer = dict(partitioner=dict(type=SizePartitioner, max_task_size=100000), runner=dict(type=LocalRunner, max_num_workers=2, task=dict(type=OpenICLInferTask)))
eval = dict(partitioner=dict(type=NaivePartitioner, n=100), runner=dict(type=LocalRunner, max_num_workers=2, task=dict(type=OpenICLEvalTask)))
