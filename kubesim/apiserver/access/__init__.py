"""Access: who a user is, what RBAC allows, who may grant what, tokens of service accounts.

Real counterpart: plugin/pkg/auth/authorizer/rbac, pkg/registry/rbac, pkg/serviceaccount.
"""
