package schema

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/json"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/hack/corpus"
	"github.com/evenkeel/evenkeel/state/desired"
)

// server does with an object what an API server does before it takes it, with fieldValidation=Strict.
type server struct {
	structural *schema.Structural
	validator  validation.SchemaValidator
	cel        *cel.Validator
}

func newServer() (*server, error) {
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(v1alpha1.CRD, &crd); err != nil {
		return nil, err
	}
	var internal apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(crd.Spec.Versions[0].Schema.OpenAPIV3Schema, &internal, nil); err != nil {
		return nil, err
	}
	structural, err := schema.NewStructural(&internal)
	if err != nil {
		return nil, err
	}
	validator, _, err := validation.NewSchemaValidator(&internal)
	if err != nil {
		return nil, err
	}
	return &server{structural, validator, cel.NewValidator(structural, true, celconfig.PerCallLimit)}, nil
}

// refuses says why the server does not take a document; nil where it does.
func (s *server) refuses(text string) error {
	asJSON, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		return err
	}
	var object map[string]any
	if err := json.Unmarshal(asJSON, &object); err != nil {
		return err
	}
	if err := s.metadata(object); err != nil {
		return err
	}
	unknown := pruning.PruneWithOptions(object, s.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	if len(unknown) > 0 {
		return fmt.Errorf("unknown fields %v", unknown)
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(object, s.structural)
	defaulting.Default(object, s.structural)
	errs := validation.ValidateCustomResource(nil, object, s.validator)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, s.structural, object)...)
	if len(errs) == 0 { // else the server does not come to its rules
		errs, _ = s.cel.Validate(context.Background(), nil, s.structural, object, nil, celconfig.RuntimeCELCostBudget)
	}
	return errs.ToAggregate()
}

// metadata is what the server asks of every object, whatever its schema.
func (s *server) metadata(object map[string]any) error {
	if object["apiVersion"] != v1alpha1.GroupVersion || object["kind"] != v1alpha1.KindApp {
		return fmt.Errorf("it is %v %v", object["apiVersion"], object["kind"])
	}
	asJSON, err := json.Marshal(object["metadata"])
	if err != nil {
		return err
	}
	var meta metav1.ObjectMeta
	strict, err := kjson.UnmarshalStrict(asJSON, &meta)
	if err = errors.Join(append(strict, err)...); err != nil {
		return err
	}
	if problems := apivalidation.NameIsDNSSubdomain(meta.Name, false); meta.Name == "" || len(problems) > 0 {
		return fmt.Errorf("metadata.name: %q", meta.Name)
	}
	return nil
}

// stricter are the fields for which evenkeel refuses what the CRD takes, and why a schema does not say it.
var stricter = []struct {
	field *regexp.Regexp
	why   string
}{
	{regexp.MustCompile(`^out of range metadata\.name`), "a server takes names of 253 characters with dots; evenkeel's are part of file names"},
	{regexp.MustCompile(`^wrong type spec\.pausedUntil: \[x\]`), "the server's validator takes a list for a text that has a format"},
}

// TestTheCRDAndEvenkeelGiveTheSameVerdict asks both for every document of the corpus. What the CRD refuses, evenkeel refuses
// always; the other way round there are exceptions, each with its reason, and each met.
func TestTheCRDAndEvenkeelGiveTheSameVerdict(t *testing.T) {
	s, err := newServer()
	if err != nil {
		t.Fatal(err)
	}
	docs, err := corpus.Make()
	if err != nil {
		t.Fatal(err)
	}
	met := make([]bool, len(stricter))
	taken, refused, beyond := 0, 0, 0
	for _, d := range docs {
		server, own := s.refuses(d.Text), desired.Parse([]byte(d.Text), "f.yaml").Err()
		switch {
		case server == nil && own == nil:
			taken++
		case server != nil && own != nil:
			refused++
		case own == nil:
			t.Errorf("%s: the CRD refuses it, evenkeel does not: %v", d.Name, server)
		default:
			beyond++
			known := false
			for i, e := range stricter {
				if e.field.MatchString(d.Name) {
					known, met[i] = true, true
				}
			}
			if !known {
				t.Errorf("%s: evenkeel refuses it, the CRD does not: %v", d.Name, own)
			}
		}
	}
	for i, e := range stricter {
		if !met[i] {
			t.Errorf("the exception %s (%s) is not met any more", e.field, e.why)
		}
	}
	t.Logf("%d documents: both take %d, both refuse %d, evenkeel alone refuses %d", len(docs), taken, refused, beyond)
}
