package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/google/jsonschema-go/jsonschema"
)

// New makes a Tool of a typed function. The JSON Schema of the arguments is
// derived from In: json tags name the fields, jsonschema tags describe them,
// a field without omitempty is required. Arguments that do not fit never
// reach run; the model is told what is wrong with them.
//
// It panics if In has no schema: that is a mistake in the program.
func New[In any](spec Spec, run func(ctx context.Context, in In, call Call) (Output, error)) Tool {
	shown := derive[In](spec.Name)
	shorten(shown)
	text, err := json.Marshal(shown)
	if err != nil {
		panic(fmt.Sprintf("tool %s: encode schema: %v", spec.Name, err))
	}
	spec.Schema = text
	resolved := sync.OnceValue(func() *jsonschema.Resolved { // derived anew: kept, those of all tools take 0.3 MB
		resolved, err := derive[In](spec.Name).Resolve(nil)
		if err != nil {
			panic(fmt.Sprintf("tool %s: resolve schema: %v", spec.Name, err))
		}
		return resolved
	})
	return typed[In]{spec, resolved, run}
}

func derive[In any](name string) *jsonschema.Schema {
	schema, err := jsonschema.For[In](nil)
	if err != nil {
		panic(fmt.Sprintf("tool %s: derive schema: %v", name, err))
	}
	return schema
}

// shorten leaves out what a model need not be told in every request: that a list
// or a pointer may be null, which is understood, and that there are no other
// arguments, which it is told when it makes one up.
func shorten(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if len(s.Types) == 2 && s.Types[0] == "null" {
		s.Type, s.Types = s.Types[1], nil
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Not != nil {
		s.AdditionalProperties = nil
	}
	for _, p := range s.Properties {
		shorten(p)
	}
	shorten(s.Items)
	shorten(s.AdditionalProperties)
}

type typed[In any] struct {
	spec   Spec
	schema func() *jsonschema.Resolved // made at the first call: most tools of a session are never called
	run    func(context.Context, In, Call) (Output, error)
}

func (t typed[In]) Spec() Spec { return t.spec }

func (t typed[In]) Run(ctx context.Context, call Call) (Output, error) {
	in, err := decode[In](call.Args, t.schema())
	if err != nil {
		out := failure(fmt.Sprintf("wrong arguments for %s: %v; nothing was done", t.spec.Name, err))
		out.BadArgs = true
		return out, nil
	}
	return t.run(ctx, in, call)
}

func decode[In any](args string, schema *jsonschema.Resolved) (in In, err error) {
	if strings.TrimSpace(args) == "" {
		args = "{}"
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(args), &fields); err != nil {
		return in, syntaxError(args, err)
	}
	if fields == nil {
		return in, errors.New("the arguments must be a JSON object, not null")
	}
	if err := checkNames(fields, schema.Schema()); err != nil {
		return in, err
	}
	if err := schema.Validate(fields); err != nil {
		return in, plain(err)
	}
	dec := json.NewDecoder(strings.NewReader(args))
	if err := dec.Decode(&in); err != nil {
		return in, syntaxError(args, err)
	}
	return in, nil
}

// checkNames names missing and unknown arguments by their nearest kin, which
// the schema's own messages do not.
func checkNames(fields map[string]any, schema *jsonschema.Schema) error {
	var wrong []string
	for _, name := range schema.Required {
		if _, ok := fields[name]; !ok {
			wrong = append(wrong, fmt.Sprintf("%q is missing", name))
		}
	}
	known := make([]string, 0, len(schema.Properties))
	for name := range schema.Properties {
		known = append(known, name)
	}
	slices.Sort(known)
	unknown := make([]string, 0, len(fields))
	for name := range fields {
		if !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		wrong = append(wrong, fmt.Sprintf("%q is not an argument", name))
	}
	if len(unknown) > 0 {
		wrong = append(wrong, "the arguments are "+strings.Join(known, ", "))
	}
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "; "))
	}
	return nil
}

// plain drops the library's own prefixes from a validation error.
func plain(err error) error {
	text := err.Error()
	if i := strings.LastIndex(text, "validating "); i >= 0 {
		text = text[i+len("validating "):]
	}
	text = strings.TrimPrefix(text, "root: ")
	if before, rest, ok := strings.Cut(text, "type: "); ok { // type: VALUE has type "A", want one of "null, B"
		if value, kinds, ok := strings.Cut(rest, " has type "); ok {
			is, want, _ := strings.Cut(kinds, ", want ")
			want = strings.NewReplacer("one of ", "", `"null, `, `"`).Replace(want)
			if is == `"null"` {
				value = "null"
			}
			text = fmt.Sprintf("%s%s is a %s, want a %s", before, value, strings.Trim(is, `"`), strings.Trim(want, `"`))
		}
	}
	return errors.New(text)
}

// syntaxError says where JSON broke, with what stands there.
func syntaxError(args string, err error) error {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		at := int(min(e.Offset, int64(len(args))))
		return fmt.Errorf("not valid JSON at byte %d, after %q: %w", at, tail(args[:at], 20), err)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the JSON ends in the middle")
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if e.Field == "" {
			return fmt.Errorf("the arguments must be a JSON object, not a %s", e.Value)
		}
		return fmt.Errorf("%q must be of type %s, not %s", e.Field, e.Type, e.Value)
	}
	return err
}

func tail(s string, n int) string {
	if len(s) > n {
		s = "…" + string(bytes.ToValidUTF8([]byte(s[len(s)-n:]), nil))
	}
	return s
}

// check reports what is wrong with arguments.
func (t typed[In]) check(args string) error {
	_, err := decode[In](args, t.schema())
	return err
}
