package hub

import (
	"strings"
	"testing"
	"testing/iotest"
)

// Whatever a stream holds and however it arrives, the same events come out,
// and none is larger than allowed.
func FuzzEvents(f *testing.F) {
	for _, seed := range []string{
		"", "data: a\n\n", "data: a\r\n\r\n", "event: x\ndata: {}\ndata: 2\n\n: hi\n\ndata", "data:\n\n", "\ufeffdata: x\n\n",
		"id: 1\nretry: 5\ndata: a", strings.Repeat("data: xxxxxxxxxxxxxxxx\n", 100),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var whole, slow []string
		for ev, err := range events(strings.NewReader(text)) {
			if err != nil {
				t.Fatal(err)
			}
			if len(ev.data) > maxEvent {
				t.Errorf("an event has %d bytes", len(ev.data))
			}
			whole = append(whole, ev.name+"\x00"+string(ev.data))
		}
		for ev, err := range events(iotest.OneByteReader(strings.NewReader(text))) {
			if err != nil {
				t.Fatal(err)
			}
			slow = append(slow, ev.name+"\x00"+string(ev.data))
		}
		if strings.Join(whole, "\n") != strings.Join(slow, "\n") {
			t.Errorf("%q is %q at once and %q slowly", text, whole, slow)
		}
	})
}
