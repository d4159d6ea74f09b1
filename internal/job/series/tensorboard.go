package series

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"time"
)

// Frames of a TFRecord: length, its checksum, data, its checksum.
const (
	headSize      = 8 + 4
	tailSize      = 4
	largestRecord = 1 << 20 // images and histograms may be larger; scalars are not
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the checksum as TFRecord keeps it.
func masked(data []byte) uint32 {
	sum := crc32.Checksum(data, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}

// An Events reads a TensorBoard event file, in pieces of any size. The zero
// Events is at the beginning of a file.
type Events struct {
	Broken bool // what follows makes no sense, and is passed over

	held []byte
	skip uint64 // bytes of a record that is too large
}

// Feed reads the file's next bytes.
func (e *Events) Feed(data []byte, add func(Sample)) {
	if e.Broken {
		return
	}
	e.held = append(e.held, data...)
	rest := e.held
	for !e.Broken {
		n := min(e.skip, uint64(len(rest)))
		rest, e.skip = rest[n:], e.skip-n
		if e.skip > 0 {
			break
		}
		size, ok := e.next(rest)
		if e.skip > 0 {
			continue
		}
		if !ok {
			break
		}
		body := rest[headSize : headSize+size]
		if binary.LittleEndian.Uint32(rest[headSize+size:]) == masked(body) {
			readEvent(body, add)
		} // else that record is damaged, and the frame says where the next begins
		rest = rest[headSize+size+tailSize:]
	}
	if e.Broken {
		rest = nil
	}
	e.held = append([]byte(nil), rest...)
}

// next is the size of the record at the beginning of data, if it is all there.
func (e *Events) next(data []byte) (size int, ok bool) {
	if len(data) < headSize {
		return 0, false
	}
	if binary.LittleEndian.Uint32(data[8:]) != masked(data[:8]) {
		e.Broken = true // nothing says where the next record begins
		return 0, false
	}
	length := binary.LittleEndian.Uint64(data)
	switch {
	case length > math.MaxInt64-headSize-tailSize:
		e.Broken = true
		return 0, false
	case length > largestRecord:
		e.skip = length + headSize + tailSize
		return 0, false
	}
	size = int(length)
	return size, len(data) >= headSize+size+tailSize
}

// A field is one of a protobuf message.
type field struct {
	number int
	bits   uint64 // of a number
	data   []byte // of a message, a text or bytes
}

// fields reads a protobuf message, as far as it makes sense.
func fields(msg []byte, visit func(field)) {
	for len(msg) > 0 {
		key, n := binary.Uvarint(msg)
		if n <= 0 {
			return
		}
		msg = msg[n:]
		f := field{number: int(key >> 3 & math.MaxInt32)}
		switch key & 7 {
		case 0:
			if f.bits, n = binary.Uvarint(msg); n <= 0 {
				return
			}
		case 1:
			if n = 8; len(msg) < n {
				return
			}
			f.bits = binary.LittleEndian.Uint64(msg)
		case 2:
			size, m := binary.Uvarint(msg)
			if m <= 0 || size > uint64(len(msg)-m) {
				return
			}
			n = m + int(size)
			f.data = msg[m:n]
		case 5:
			if n = 4; len(msg) < n {
				return
			}
			f.bits = uint64(binary.LittleEndian.Uint32(msg))
		default:
			return // groups are of another age
		}
		visit(f)
		msg = msg[n:]
	}
}

// readEvent reads tensorflow.Event: wall_time=1 double, step=2 int64, summary=5.
func readEvent(msg []byte, add func(Sample)) {
	var sample Sample
	var summary []byte
	fields(msg, func(f field) {
		switch f.number {
		case 1:
			if s := math.Float64frombits(f.bits); s > 0 && s < 1e11 {
				sample.Time = time.UnixMicro(int64(s * 1e6)).UTC()
			}
		case 2:
			sample.Step = float64(int64(f.bits)) // -1 is written as a very large number
		case 5:
			summary = f.data
		}
	})
	sample.Axis = Step
	fields(summary, func(f field) {
		if f.number == 1 {
			readValue(f.data, sample, add)
		}
	})
}

// readValue reads Summary.Value: tag=1, simple_value=2 float, tensor=8.
func readValue(msg []byte, sample Sample, add func(Sample)) {
	found := false
	fields(msg, func(f field) {
		switch f.number {
		case 1:
			sample.Name = string(f.data)
		case 2:
			sample.Value, found = float64(math.Float32frombits(uint32(f.bits))), true
		case 8:
			if v, ok := readScalar(f.data); ok {
				sample.Value, found = v, true
			}
		}
	})
	if found {
		add(sample)
	}
}

// Types of TensorProto.
const (
	dtFloat  = 1
	dtDouble = 2
	dtInt32  = 3
	dtInt64  = 9
)

// readScalar reads TensorProto, if it holds one number: dtype=1,
// tensor_content=4, float_val=5, double_val=6, int_val=7, int64_val=10.
func readScalar(msg []byte) (v float64, ok bool) {
	dtype, values := 0, 0
	var content []byte
	fields(msg, func(f field) {
		switch f.number {
		case 1:
			dtype = int(f.bits)
		case 2:
			if !scalarShape(f.data) {
				values = 2
			}
		case 4:
			content = f.data
		case 5, 6, 7, 10:
			values++
			if v, ok = packed(f); !ok {
				values = 2
			}
		}
	})
	if values == 0 && content != nil {
		return rawScalar(dtype, content)
	}
	return v, values == 1
}

// scalarShape reports whether TensorShapeProto has one element: dim=2, size=1.
func scalarShape(msg []byte) bool {
	one := true
	fields(msg, func(dim field) {
		if dim.number == 2 {
			fields(dim.data, func(f field) { one = one && (f.number != 1 || f.bits == 1) })
		}
	})
	return one
}

// packed is the one number of a repeated field: on its own or packed.
func packed(f field) (float64, bool) {
	bits, ok := f.bits, true
	switch {
	case f.data == nil:
	case f.number == 5 && len(f.data) == 4:
		bits = uint64(binary.LittleEndian.Uint32(f.data))
	case f.number == 6 && len(f.data) == 8:
		bits = binary.LittleEndian.Uint64(f.data)
	case f.number == 7 || f.number == 10:
		n := 0
		bits, n = binary.Uvarint(f.data)
		ok = n == len(f.data) && n > 0
	default:
		return 0, false
	}
	switch f.number {
	case 5:
		return float64(math.Float32frombits(uint32(bits))), ok
	case 6:
		return math.Float64frombits(bits), ok
	}
	return float64(int64(bits)), ok
}

func rawScalar(dtype int, b []byte) (float64, bool) {
	switch {
	case dtype == dtFloat && len(b) == 4:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))), true
	case dtype == dtDouble && len(b) == 8:
		return math.Float64frombits(binary.LittleEndian.Uint64(b)), true
	case dtype == dtInt32 && len(b) == 4:
		return float64(int32(binary.LittleEndian.Uint32(b))), true
	case dtype == dtInt64 && len(b) == 8:
		return float64(int64(binary.LittleEndian.Uint64(b))), true
	}
	return 0, false
}
