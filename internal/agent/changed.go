package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"ml-intern/internal/session"
)

// tellChanged keeps, for the result of each call whose arguments a person
// changed, what they changed: the transcript holds the call as the model wrote
// it, and a provider may have signed that.
func (t turn) tellChanged() {
	for _, call := range t.session.Pending() {
		words := changedWords(call)
		if words != "" && !strings.Contains(t.said[call.ID], words) {
			t.said[call.ID] += words
		}
	}
}

// maxChange is how much of one changed argument the model is told, in bytes.
const maxChange = 4000

// changedWords says what a person changed in a call, "" for nothing.
func changedWords(call session.PendingCall) string {
	if call.Wrote == "" {
		return ""
	}
	return "\n[the person changed this call before they decided: " + changes(call.Wrote, call.Args) + "]"
}

// changes lists what differs between two calls' arguments.
func changes(before, after string) string {
	var was, now map[string]json.RawMessage
	if json.Unmarshal([]byte(before), &was) != nil || json.Unmarshal([]byte(after), &now) != nil {
		return "the arguments are now " + shorten(after, maxChange)
	}
	all := maps.Clone(was)
	if all == nil {
		all = make(map[string]json.RawMessage)
	}
	maps.Copy(all, now)
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		old, had := was[key]
		val, has := now[key]
		switch {
		case !has:
			parts = append(parts, fmt.Sprintf("%s was left out", key))
		case !had:
			parts = append(parts, fmt.Sprintf("%s was added: %s", key, shorten(string(val), maxChange)))
		case !sameJSON(old, val):
			parts = append(parts, changedValue(key, old, val))
		}
	}
	if parts == nil {
		return "only its form"
	}
	return strings.Join(parts, "; ")
}

// sameJSON reports whether two values are the same, however they are written.
func sameJSON(a, b json.RawMessage) bool {
	decoded := func(raw json.RawMessage) (value any) {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		if d.Decode(&value) != nil {
			return string(raw)
		}
		return value
	}
	return reflect.DeepEqual(decoded(a), decoded(b))
}

// changedValue says how one argument differs: of a text of several lines, only
// the lines that do.
func changedValue(key string, old, val json.RawMessage) string {
	var was, now string
	if json.Unmarshal(old, &was) != nil || json.Unmarshal(val, &now) != nil || !strings.Contains(was+now, "\n") {
		return fmt.Sprintf("%s is now %s", key, shorten(string(val), maxChange))
	}
	a, b := strings.Split(was, "\n"), strings.Split(now, "\n")
	head := 0
	for head < min(len(a), len(b)) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < min(len(a), len(b))-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	gone, come := strings.Join(a[head:len(a)-tail], "\n"), strings.Join(b[head:len(b)-tail], "\n")
	return fmt.Sprintf("in %s, from line %d on, in place of\n%s\nthere is now\n%s\n", key, head+1, shorten(gone, maxChange), shorten(come, maxChange))
}
