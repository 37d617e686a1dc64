"""The simulator's own routes.

routes   all of them; the autoscaler, nodes, events and decision records
pods     /api/pods
watch    /api/watch
logs     /api/logs and /api/summary
"""
