package v1alpha1

import _ "embed"

// CRD is the CustomResourceDefinition of App, as YAML: what an API server is given to hold Apps. It is made from the
// types by hack/generate. It checks what a schema can say; Validate checks that and the rest.
//
//go:embed evenkeel.dev_apps.yaml
var CRD []byte
