package ssh

import (
	"testing"
)

// What a machine says of itself may be anything.
func FuzzGauges(f *testing.F) {
	f.Add("disk 5 10\ngpu 0, A100, 91, 7, 8\njob 261126-000000-abcde 0,1\n")
	f.Add("disk\ngpu ,,,,\njob\njob a 9\n")
	f.Fuzz(func(t *testing.T, text string) {
		for id, m := range readGauges(text) {
			if id == "" {
				t.Errorf("a job without an id: %+v", m)
			}
		}
	})
}
