"""What clients and server exchange: media types, request bodies, response bodies.

negotiation   which representation of an object a client accepts
responses     objects and errors (Status) as responses
yamlbody      request bodies in YAML
protobuf      request bodies in protobuf

Source: k8s.io/apimachinery/pkg/runtime/serializer, k8s.io/apiserver/pkg/endpoints/handlers.
"""
