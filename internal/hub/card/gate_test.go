package card_test

import (
	"reflect"
	"testing"

	"ml-intern/internal/hub/card"
)

func TestGate(t *testing.T) {
	t.Parallel()
	got := card.Parse([]byte(`---
extra_gated_heading: Who are you?
extra_gated_prompt: "**Be kind.**"
extra_gated_button_content: Ask
extra_gated_fields:
  Zeal: text
  Country: country
  Since: date_picker
  Use:
    type: select
    options: [Research, {label: Other, value: other}]
  Empty: {type: select}
  I agree: checkbox
---
`)).Gate()
	want := card.Gate{Heading: "Who are you?", Prompt: "**Be kind.**", Button: "Ask", Questions: []card.Question{
		{Name: "Zeal", Kind: "text"},
		{Name: "Country", Kind: "text"},
		{Name: "Since", Kind: "date"},
		{Name: "Use", Kind: "select", Options: []string{"Research", "Other"}},
		{Name: "Empty", Kind: "text"},
		{Name: "I agree", Kind: "checkbox"},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the gate is %+v", got)
	}
	for _, odd := range []string{"", "---\na: [\n---\n", "---\nextra_gated_fields: [a, 1]\nextra_gated_prompt: {a: b}\n---\n", "---\nextra_gated_fields: {a: {type: select, options: x}}\n---\n"} {
		card.Parse([]byte(odd)).Gate() // nothing to ask, and no panic
	}
}
