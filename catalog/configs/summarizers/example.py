# A table of every dataset in the order of the run. Import lists whose names end in
# _summary_groups above this line to have averages of groups in it as well.
summarizer = dict(
    summary_groups=sum([groups for name, groups in locals().items() if name.endswith('_summary_groups')], []),
)
