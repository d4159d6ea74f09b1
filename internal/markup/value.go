package markup

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
)

// under is what an interface or a pointer holds.
func under(v reflect.Value) reflect.Value {
	for v.IsValid() && (v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer) {
		v = v.Elem()
	}
	return v
}

// fields goes from a struct to its field, from that to its own, and so on.
func fields(v reflect.Value, names []string) (reflect.Value, error) {
	for _, name := range names {
		v = under(v)
		if !v.IsValid() || v.Kind() != reflect.Struct {
			return v, fmt.Errorf("there is no %s in nothing, nor in what is no struct", name)
		}
		f, known := v.Type().FieldByName(name)
		if !known || !f.IsExported() {
			return v, fmt.Errorf("a %v has no field %s", v.Type(), name)
		}
		var err error
		if v, err = v.FieldByIndexErr(f.Index); err != nil {
			return v, err
		}
	}
	return v, nil
}

// truth is whether a value is not the zero value of its type; lists must have
// elements, and a struct is always true.
func truth(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Invalid:
		return false
	case reflect.Interface, reflect.Pointer:
		return !v.IsNil() && (v.Kind() == reflect.Pointer || truth(v.Elem()))
	case reflect.Slice, reflect.Array, reflect.Map, reflect.String:
		return v.Len() > 0
	case reflect.Struct:
		return true
	}
	return !v.IsZero()
}

// apply calls a function of the template's.
func apply(f reflect.Value, args []reflect.Value) (reflect.Value, error) {
	t := f.Type()
	if t.NumIn() != len(args) {
		return reflect.Value{}, fmt.Errorf("it takes %d arguments, and has %d", t.NumIn(), len(args))
	}
	for i, arg := range args {
		if arg.IsValid() && arg.Kind() == reflect.Interface {
			arg = arg.Elem()
		}
		if !arg.IsValid() {
			arg = reflect.Zero(t.In(i))
		}
		if !arg.Type().AssignableTo(t.In(i)) {
			return reflect.Value{}, fmt.Errorf("argument %d is a %v, and should be a %v", i+1, arg.Type(), t.In(i))
		}
		args[i] = arg
	}
	return f.Call(args)[0], nil
}

// builtin computes the functions that every template has: those of the standard
// library that we use.
func builtin(name string, args []reflect.Value) (reflect.Value, error) {
	want := 2
	if name == "not" || name == "len" {
		want = 1
	}
	if len(args) != want {
		return reflect.Value{}, fmt.Errorf("it takes %d arguments, and has %d", want, len(args))
	}
	switch name {
	case "and", "or":
		if truth(args[0]) == (name == "or") {
			return args[0], nil
		}
		return args[1], nil
	case "not":
		return reflect.ValueOf(!truth(args[0])), nil
	case "len":
		v := under(args[0])
		switch v.Kind() {
		case reflect.Slice, reflect.Array, reflect.Map, reflect.String:
			return reflect.ValueOf(v.Len()), nil
		}
		return v, errors.New("it has no length")
	}
	order, err := compare(args[0], args[1])
	return reflect.ValueOf(name == "eq" && order == 0 || name == "lt" && order < 0 || name == "gt" && order > 0), err
}

// compare orders two strings or two whole numbers.
func compare(a, b reflect.Value) (int, error) {
	a, b = under(a), under(b)
	switch {
	case !a.IsValid() || !b.IsValid():
	case a.Kind() == reflect.String && b.Kind() == reflect.String:
		return cmp.Compare(a.String(), b.String()), nil
	case a.CanInt() && b.CanInt():
		return cmp.Compare(a.Int(), b.Int()), nil
	}
	return 0, errors.New("strings are compared with strings, whole numbers with whole numbers")
}
