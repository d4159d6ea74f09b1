package login

import (
	"strings"
	"testing"
)

// What is read and not changed is written as it was; what is set is read back,
// and touches nothing else.
func FuzzStoredTokens(f *testing.F) {
	for _, seed := range []string{
		"", "[a]\nhf_token = x\n", "# c\n\n[a]\nhf_token: x\n  y\n\n[b]\nz=1", "[a]]\nk=v", "[a]\r\nhf_token=x\r\n", "  [a]\n k = v\n  [more]\n", "[DEFAULT]\nx = 1\n[a]\n",
		"[a]\n hf_token = x\n k = v\n", "[a]\nhf_token = x\n\n  more after a blank\n; c\nb = 2\n",
	} {
		f.Add(seed, "a", "hf_new")
	}
	f.Fuzz(func(t *testing.T, text, name, value string) {
		doc, err := parse(text)
		if err != nil {
			return
		}
		plain := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
		if got := doc.String(); strings.TrimSuffix(got, "\n") != strings.TrimSuffix(plain, "\n") {
			t.Fatalf("%q is written as %q", text, got)
		}
		name, value = sectionName(name), clean(value)
		if checkShape(value) != nil {
			return
		}
		before := map[string]string{}
		for _, s := range doc.sections {
			if s.name != name {
				before[s.name] = s.get(keyToken)
			}
		}
		doc.put(name).set(keyToken, value)
		again, err := parse(doc.String())
		if err != nil {
			t.Fatalf("what is written of %q cannot be read: %v\n%s", text, err, doc)
		}
		if s := again.find(name); s == nil || clean(s.get(keyToken)) != value {
			t.Fatalf("%q is not read back from\n%s", value, doc)
		}
		for other, want := range before {
			if s := again.find(other); s == nil || s.get(keyToken) != want {
				t.Fatalf("the section %q is changed in\n%s", other, doc)
			}
		}
	})
}
