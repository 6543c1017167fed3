package strict

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/resource"
)

var plainNumber = regexp.MustCompile(`^[+-]?(0|[1-9][0-9]*)$`)

const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle

// scalar reads text, a number, or true and false.
func (d *decoder) scalar(n *yaml.Node, at string, v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String:
		return d.text(n, at, v)
	case reflect.Bool:
		if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" {
			v.SetBool(strings.EqualFold(n.Value, "true"))
			return true
		}
		d.report(n, at, "got "+show(n), remedyForBool(n))
		return false
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return d.number(n, at, v)
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(n.Value, 64)
		if n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!int" || n.ShortTag() == "!!float") && err == nil {
			v.SetFloat(f)
			return true
		}
		d.report(n, at, "got "+show(n), "want a number, such as 1.5")
		return false
	}
	return d.asJSON(n, at, v, 0)
}

func (d *decoder) text(n *yaml.Node, at string, v reflect.Value) bool {
	if n.Kind != yaml.ScalarNode {
		d.report(n, at, "got "+show(n), "want text")
		return false
	}
	switch tag := n.ShortTag(); tag {
	case "!!str", "!!timestamp":
		v.SetString(n.Value)
		return true
	case "!!int", "!!float", "!!bool":
		d.report(n, at, "got "+show(n), fmt.Sprintf("want text: %q, with the quotes", n.Value))
	default:
		d.report(n, at, "got a value tagged "+tag, "want text")
	}
	return false
}

func remedyForBool(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		switch strings.ToLower(n.Value) {
		case "true", "false":
			return "want " + strings.ToLower(n.Value) + ", without quotes"
		case "yes", "y", "on", "1":
			return "want true"
		case "no", "n", "off", "0":
			return "want false"
		}
	}
	return "want true or false"
}

func (d *decoder) number(n *yaml.Node, at string, v reflect.Value) bool {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" && plainNumber.MatchString(n.Value) {
		i, err := strconv.ParseInt(n.Value, 10, 64)
		if err == nil && !v.OverflowInt(i) {
			v.SetInt(i)
			return true
		}
		d.report(n, at, "got "+show(n), "want a smaller number")
		return false
	}
	remedy := "want a whole number, such as 3"
	if n.Kind == yaml.ScalarNode {
		if trimmed := strings.TrimSpace(n.Value); plainNumber.MatchString(trimmed) {
			remedy = "want the number " + trimmed + ", without quotes"
		} else if i, err := strconv.ParseInt(strings.ReplaceAll(trimmed, "_", ""), 10, 64); err == nil {
			remedy = fmt.Sprintf("want a plain number, such as %d", i)
		}
	}
	d.report(n, at, "got "+show(n), remedy)
	return false
}

// scalarLike reads a type that decodes itself.
func (d *decoder) scalarLike(n *yaml.Node, at string, v reflect.Value, depth int) bool {
	remedy := ""
	switch v.Type() {
	case durationType:
		remedy = remedyForDuration(n)
	case timeType, microTimeType:
		remedy = "want a time such as 2026-11-23T18:00:00Z"
	case quantityType:
		remedy = remedyForQuantity(n)
	default:
		return d.asJSON(n, at, v, depth)
	}
	read := reflect.New(v.Type())
	if n.Kind == yaml.ScalarNode && strings.TrimSpace(n.Value) != "" && suits(n, v.Type()) {
		text, err := json.Marshal(n.Value)
		if err == nil && read.Interface().(json.Unmarshaler).UnmarshalJSON(text) == nil {
			v.Set(read.Elem())
			return true
		}
	}
	d.report(n, at, "got "+show(n), remedy)
	return false
}

// suits tells whether a scalar's kind is one that the type is written as.
func suits(n *yaml.Node, t reflect.Type) bool {
	switch n.ShortTag() {
	case "!!str":
		return true
	case "!!timestamp":
		return t == timeType || t == microTimeType
	case "!!int", "!!float":
		return t == quantityType
	}
	return false
}

var dayLike = regexp.MustCompile(`^([0-9]+) ?(d|days?)$`)

func remedyForDuration(n *yaml.Node) string {
	const otherwise = "want a duration such as 60s, 5m or 1h30m"
	if n.Kind != yaml.ScalarNode {
		return otherwise
	}
	text := strings.ToLower(strings.TrimSpace(n.Value))
	if m := dayLike.FindStringSubmatch(text); m != nil {
		if days, err := strconv.Atoi(m[1]); err == nil && days < 10000 {
			return fmt.Sprintf("want a duration such as %dh", 24*days)
		}
	}
	number := strings.TrimRight(text, " abcdefghijklmnopqrstuvwxyz")
	unit := strings.TrimSpace(text[len(number):])
	for _, u := range []struct{ short, names string }{
		{"s", " second seconds sec secs s "}, {"m", " minute minutes min mins m "},
		{"h", " hour hours hr hrs h "}, {"ms", " millisecond milliseconds msec ms "},
	} {
		if strings.Contains(u.names, " "+unit+" ") || unit == "" && u.short == "s" {
			if _, err := time.ParseDuration(number + u.short); err == nil {
				return "want a duration such as " + number + u.short
			}
		}
	}
	return otherwise
}

func remedyForQuantity(n *yaml.Node) string {
	const otherwise = "want an amount such as 100Mi or 1Gi"
	if n.Kind != yaml.ScalarNode {
		return otherwise
	}
	number := strings.TrimRight(strings.TrimSpace(n.Value), " abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	unit := strings.ToLower(strings.TrimSpace(strings.TrimSpace(n.Value)[len(number):]))
	for prefix, suffix := range map[string]string{"k": "Ki", "m": "Mi", "g": "Gi", "t": "Ti"} {
		if strings.HasPrefix(unit, prefix) {
			if _, err := resource.ParseQuantity(number + suffix); err == nil {
				return "want an amount such as " + number + suffix
			}
		}
	}
	return otherwise
}

// asJSON reads a node through its JSON form.
func (d *decoder) asJSON(n *yaml.Node, at string, v reflect.Value, depth int) bool {
	plain, ok := d.plain(n, at, depth)
	if !ok {
		return false
	}
	text, err := json.Marshal(plain)
	if err == nil {
		read := reflect.New(v.Type())
		if err = json.Unmarshal(text, read.Interface()); err == nil {
			v.Set(read.Elem())
			return true
		}
	}
	d.report(n, at, "got "+show(n), "which cannot be read: "+err.Error())
	return false
}
