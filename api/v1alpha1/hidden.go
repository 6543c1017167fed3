package v1alpha1

import (
	"net/url"
	"reflect"
)

// Hidden stands in the place of a value that is never shown.
const Hidden = "(hidden)"

// WithoutSecrets gives a copy to be shown: every field with the tag `evenkeel:"secret"` says [Hidden] where it says anything,
// and one with `evenkeel:"address"` tells neither who asks there nor its query. It is nil for nil.
func (in *App) WithoutSecrets() *App {
	out := in.DeepCopy()
	if out != nil {
		hideIn(reflect.ValueOf(&out.Spec).Elem())
	}
	return out
}

// hideIn hides what is tagged in a value and all below it.
func hideIn(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			hideIn(v.Elem())
		}
	case reflect.Slice, reflect.Array:
		for n := range v.Len() {
			hideIn(v.Index(n))
		}
	case reflect.Struct:
		for n := range v.NumField() {
			f := v.Type().Field(n)
			switch tag := f.Tag.Get("evenkeel"); {
			case !f.IsExported():
			case tag == "secret":
				hide(v.Field(n))
			case tag == "address" && f.Type.Kind() == reflect.String:
				v.Field(n).SetString(shownAddress(v.Field(n).String()))
			default:
				hideIn(v.Field(n))
			}
		}
	}
}

// hide puts [Hidden] in the place of texts; how many there are, and the names in a map, may be seen. Of anything else nothing
// is left.
func hide(v reflect.Value) {
	switch {
	case v.IsZero():
	case v.Kind() == reflect.String:
		v.SetString(Hidden)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.String:
		for n := range v.Len() {
			v.Index(n).SetString(Hidden)
		}
	case v.Kind() == reflect.Map && v.Type().Elem().Kind() == reflect.String:
		for _, key := range v.MapKeys() {
			v.SetMapIndex(key, reflect.ValueOf(Hidden).Convert(v.Type().Elem()))
		}
	default:
		v.SetZero()
	}
}

// shownAddress is an address without user, password and query, which are often secrets; that there are such is seen.
func shownAddress(address string) string {
	u, err := url.Parse(address)
	switch {
	case address == "":
		return ""
	case err != nil || u.Scheme == "" || u.Host == "":
		return Hidden
	case u.User == nil && u.RawQuery == "" && u.Fragment == "":
		return address
	}
	text := u.Scheme + "://"
	if u.User != nil {
		text += Hidden + "@"
	}
	text += u.Host + u.EscapedPath()
	if u.RawQuery != "" || u.Fragment != "" {
		text += "?" + Hidden
	}
	return text
}

// ShownURL is the address of the public check as it may be shown: without user, password and query.
func (in *PublicCheck) ShownURL() string { return shownAddress(in.URL) }
