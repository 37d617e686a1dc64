"""The original simulator's API.

pods       the record of a pod; create_pod, delete_pod, list_pods, get_pod
records    all pod records by id, and their JSON
nodes      node records
hpaconfig  the configuration of the autoscaler; `autopod`: the workload that it scales
summary    counts of log rows, pods and nodes
"""
