package sessiontest

import (
	"strings"
	"testing"

	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// pictures come back as they were, byte for byte, and go with their session.
func pictures(t *testing.T, s session.Store) {
	picture := func(name, data string) *llm.Image {
		i := (&llm.Image{Name: name, MediaType: "image/png", Width: 3, Height: 2, Data: []byte(data)}).Bare()
		i.Data = []byte(data)
		return i
	}
	a, b := picture("a.png", "\x89PNG\x00\xff"), picture("b.png", strings.Repeat("b", 1<<20))
	want := append(begin("s", "look"),
		session.Event{Seq: 3, Time: epoch, Prompt: &session.Prompt{Text: "and", Pictures: []*llm.Image{a, b, picture("again.png", "\x89PNG\x00\xff")}}},
		session.Event{Seq: 4, Time: epoch, Result: &session.Result{CallID: "1", Output: tool.Output{Text: "x", Image: b}}})
	put(t, s, "s", want...)
	put(t, s, "other", begin("other", "look")...)
	var got []*llm.Image
	for _, ev := range load(t, s, "s", 0) {
		got = append(got, ev.Pictures()...)
	}
	if len(got) != 4 {
		t.Fatalf("%d pictures", len(got))
	}
	for i, p := range []*llm.Image{a, b, want[2].Prompt.Pictures[2], b} {
		if got[i].Name != p.Name || got[i].SHA256 != p.SHA256 || got[i].Bytes != len(p.Data) || string(got[i].Data) != string(p.Data) {
			t.Errorf("picture %d came back as %s", i, got[i])
		}
	}
	if a.Data == nil {
		t.Error("the events that were put have changed")
	}
	if err := s.Delete(t.Context(), "s"); err != nil {
		t.Fatal(err)
	}
	want[2] = want[2].Bare() // as another process may write it
	put(t, s, "s", want[:3]...)
	for _, p := range load(t, s, "s", 0)[2].Prompt.Pictures {
		if p.Data != nil {
			t.Errorf("%s outlived its session", p)
		}
	}
}
