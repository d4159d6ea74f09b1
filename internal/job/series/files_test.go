package series

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// collect turns samples into lines.
func collect(lines *[]string) func(Sample) {
	return func(x Sample) {
		*lines = append(*lines, fmt.Sprintf("%s=%s@%s %s", x.Name, Number(x.Value), Number(x.Step), x.Axis))
	}
}

// inPieces feeds data in pieces of every size up to 40 and wants the same.
func inPieces(t *testing.T, data []byte, fresh func() feeder, want string) {
	t.Helper()
	for size := 1; size <= 40; size++ {
		var got []string
		f := fresh()
		for i := 0; i < len(data); i += size {
			f.Feed(data[i:min(i+size, len(data))], collect(&got))
		}
		if text := strings.Join(got, ", "); text != want {
			t.Fatalf("in pieces of %d bytes:\n %s, want\n %s", size, text, want)
		}
	}
}

func TestCSV(t *testing.T) {
	t.Parallel()
	inPieces(t, []byte("epoch,step,train_loss,note\r\n0,10,0.5,a\n\n1,20,,b\nepoch,step,train_loss,note\n0,30,nan,\"c,d\"\n0,40,7"),
		func() feeder { return &CSV{} }, "train_loss=0.5@10 step, train_loss=NaN@30 step")
}

func TestJSONL(t *testing.T) {
	t.Parallel()
	inPieces(t, []byte(`{"step": 1, "loss": 0.5}`+"\r\n[1]\nnot json\n"+`{"step": 2, "loss": -Infinity}`+"\n"+`{"step": 3, "lo`),
		func() feeder { return &JSONL{} }, "loss=0.5@1 step, loss=-Inf@2 step")
}

func TestLongLine(t *testing.T) {
	t.Parallel()
	var got []string
	var j JSONL
	for range 40 {
		j.Feed([]byte(strings.Repeat("x", 64<<10)), collect(&got))
		if len(j.feedLines.held) > longestRow {
			t.Fatalf("%d bytes are held", len(j.feedLines.held))
		}
	}
	j.Feed([]byte("\n{\"step\": 1, \"loss\": 2}\n"), collect(&got))
	if len(got) != 1 || got[0] != "loss=2@1 step" {
		t.Errorf("after a long line: %v", got)
	}
}

// event is a record of an event file: a tag with a value at a step.
func event(step int64, tag string, value float32) []byte {
	v := append([]byte{1<<3 | 2, byte(len(tag))}, tag...)
	v = append(v, 2<<3|5)
	v = binary.LittleEndian.AppendUint32(v, math.Float32bits(value))
	summary := append([]byte{1<<3 | 2, byte(len(v))}, v...)
	msg := binary.LittleEndian.AppendUint64([]byte{1<<3 | 1}, math.Float64bits(1.7e9))
	msg = binary.AppendUvarint(append(msg, 2<<3), uint64(step))
	msg = append(append(msg, 5<<3|2, byte(len(summary))), summary...)
	return frame(msg)
}

func frame(msg []byte) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(msg)))
	out = binary.LittleEndian.AppendUint32(out, masked(out))
	out = append(out, msg...)
	return binary.LittleEndian.AppendUint32(out, masked(msg))
}

func TestEvents(t *testing.T) {
	t.Parallel()
	damaged := event(2, "loss", 9)
	damaged[len(damaged)-1] ^= 1
	data := append(event(1, "loss", 0.5), damaged...)
	data = append(data, frame(make([]byte, largestRecord+5))...)
	data = append(data, event(3, "loss", float32(math.NaN()))...)
	data = append(data, event(4, "loss", 1)[:30]...) // not all there yet
	var got []string
	var e Events
	for i := 0; i < len(data); i += 777 {
		e.Feed(data[i:min(i+777, len(data))], collect(&got))
		if len(e.held) > largestRecord+1000 {
			t.Fatalf("%d bytes are held", len(e.held))
		}
	}
	if text := strings.Join(got, ", "); text != "loss=0.5@1 step, loss=NaN@3 step" || e.Broken {
		t.Errorf("%s, broken %v", text, e.Broken)
	}
	e.Feed([]byte(strings.Repeat("odd", 50)), collect(&got))
	e.Feed(event(4, "loss", 1), collect(&got))
	if len(got) != 2 || e.held != nil {
		t.Errorf("after nonsense: %v, %d bytes held", got, len(e.held))
	}
}

// The file was written by TensorBoard's own writer for PyTorch.
func TestRealEvents(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/events.out.tfevents.1700000000.host")
	if err != nil {
		t.Fatal(err)
	}
	var s Set
	var e Events
	e.Feed(data, s.Add)
	if e.Broken || len(s.All()) == 0 {
		t.Errorf("broken %v, %d series", e.Broken, len(s.All()))
	}
	golden(t, "events.txt", s.Table(0))
}

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err == nil {
			_, err = file.WriteString(text)
		}
		if err != nil || file.Close() != nil {
			t.Fatal(err)
		}
	}
	f := Files{Dir: dir}
	read := func(want string) {
		t.Helper()
		var got []string
		if err := f.Read(t.Context(), collect(&got)); err != nil {
			t.Error(err)
		}
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("read %s, want %s", text, want)
		}
	}
	read("")
	write("logs/version_0/metrics.csv", "step,loss\n1,0.5\n")
	write("train/log.jsonl", "{\"step\": 1, \"acc\": 0.5}\n{\"step\": 2")
	write("events.out.tfevents.1.host", string(event(1, "lr", 0.25)))
	write("data.csv", "step,loss\n1,0.5\n")
	write(".cache/metrics.csv", "step,loss\n1,0.5\n")
	read("lr=0.25@1 step, loss=0.5@1 step, train/acc=0.5@1 step")
	read("")
	write("train/log.jsonl", ", \"acc\": 0.75}\n")
	read("train/acc=0.75@2 step")
	// Lightning writes the file anew when there is a new column.
	if err := os.Remove(filepath.Join(dir, "logs/version_0/metrics.csv")); err != nil {
		t.Fatal(err)
	}
	write("logs/version_0/metrics.csv", "step,loss,val\n1,0.5,\n2,0.25,0.1\n")
	read("loss=0.25@2 step, val=0.1@2 step")
	f = Files{Dir: filepath.Join(dir, "nowhere")}
	read("")
}

func FuzzFeed(f *testing.F) {
	f.Add([]byte("step,loss\n1,0.5\n"), 3)
	f.Add([]byte("{\"step\": 1, \"loss\": NaN}\n"), 5)
	f.Add(event(1, "loss", 0.5), 7)
	f.Add(frame([]byte{5<<3 | 2, 4, 1<<3 | 2, 2, 8<<3 | 2, 0}), 1)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		size = max(size, 1)
		for _, fresh := range []func() feeder{func() feeder { return &CSV{} }, func() feeder { return &JSONL{} }, func() feeder { return &Events{} }} {
			var whole, pieces []string
			fresh().Feed(data, collect(&whole))
			p := fresh()
			for i := 0; i < len(data); i += size {
				p.Feed(data[i:min(i+size, len(data))], collect(&pieces))
			}
			if strings.Join(whole, "\n") != strings.Join(pieces, "\n") {
				t.Errorf("%T: whole %q, in pieces of %d %q", p, whole, size, pieces)
			}
		}
	})
}
