package strict

import (
	"encoding/json"
	"reflect"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Defaulter is a type that sets its own defaults. It is asked to when a value of it is made for a key that is given: the
// value behind a pointer, an entry of a list.
type Defaulter interface{ SetDefaults() }

var (
	unmarshaler   = reflect.TypeFor[json.Unmarshaler]()
	durationType  = reflect.TypeFor[metav1.Duration]()
	timeType      = reflect.TypeFor[metav1.Time]()
	microTimeType = reflect.TypeFor[metav1.MicroTime]()
	quantityType  = reflect.TypeFor[resource.Quantity]()
)

// member is one key of a struct.
type member struct {
	name  string
	index []int
	typ   reflect.Type
	// unsetZero says that a zero cannot be told from a value not given.
	unsetZero bool
	// secret says that its value is shown nowhere.
	secret bool
}

// members are the keys of a struct, in their order.
type members struct {
	list   []member
	byName map[string]*member
}

var membersOf sync.Map // reflect.Type → *members

func structMembers(t reflect.Type) *members {
	if known, ok := membersOf.Load(t); ok {
		return known.(*members)
	}
	m := &members{byName: map[string]*member{}}
	m.collect(t, nil)
	for i := range m.list {
		if _, ok := m.byName[m.list[i].name]; !ok {
			m.byName[m.list[i].name] = &m.list[i]
		}
	}
	known, _ := membersOf.LoadOrStore(t, m)
	return known.(*members)
}

func (m *members) collect(t reflect.Type, index []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		at := append(append([]int(nil), index...), i)
		switch {
		case name == "-":
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			m.collect(f.Type, at)
		case !f.IsExported():
		default:
			if name == "" {
				name = f.Name
			}
			m.list = append(m.list, member{
				name: name, index: at, typ: f.Type, unsetZero: strings.Contains(options, "omitzero"), secret: secretTag(f),
			})
		}
	}
}

// names are the keys, in their order.
func (m *members) names() []string {
	names := make([]string, len(m.list))
	for i := range m.list {
		names[i] = m.list[i].name
	}
	return names
}

// readsItself tells whether values of the type decode themselves.
func readsItself(t reflect.Type) bool { return reflect.PointerTo(t).Implements(unmarshaler) }

// structBehind is the struct that keys below a field of this type belong to, if it is one, and how a path goes on there.
func structBehind(t reflect.Type) (reflect.Type, string, bool) {
	suffix := ""
	for {
		switch {
		case readsItself(t):
			return nil, "", false
		case t.Kind() == reflect.Pointer:
			t = t.Elem()
		case t.Kind() == reflect.Slice:
			t, suffix = t.Elem(), suffix+"[]"
		default:
			return t, suffix, t.Kind() == reflect.Struct
		}
	}
}
