"""The original simulator's API.

records    pod records and their JSON
nodes      node records
verbs      create_pod, delete_pod, list_pods, get_pod
hpaconfig  the configuration of the autoscaler; `autopod`: the workload that it scales
summary    counts of log rows, pods and nodes
"""
