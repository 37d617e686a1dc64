"""What clients and server exchange: media types and request bodies.

negotiation   which representation of an object a client accepts
yamlbody      request bodies in YAML
protobuf      request bodies in protobuf

Source: k8s.io/apimachinery/pkg/runtime/serializer, k8s.io/apiserver/pkg/endpoints/handlers.
"""
