package picture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"ml-intern/internal/picture"
)

// drawn is a picture with much in it, which compresses badly if noisy.
func drawn(w, h int, noisy bool) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	r := rand.New(rand.NewPCG(1, 2))
	for i := range img.Pix {
		img.Pix[i] = 255
		if noisy {
			img.Pix[i] = uint8(r.Uint32())
		}
	}
	return img
}

func encoded(t testing.TB, kind string, img image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	var err error
	switch kind {
	case "image/png":
		err = png.Encode(&out, img)
	case "image/jpeg":
		err = jpeg.Encode(&out, img, nil)
	case "image/gif":
		err = gif.Encode(&out, img, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// webp is the header of a WebP picture of a kind of frame.
func webp(chunk string, body ...byte) []byte {
	data := append([]byte("RIFF\x00\x00\x00\x00WEBP"+chunk+"\x00\x00\x00\x00"), body...)
	return append(data, make([]byte, 32)...)
}

func TestSmallPicturesStayAsTheyAre(t *testing.T) {
	t.Parallel()
	small := drawn(40, 30, true)
	for kind, data := range map[string][]byte{
		"image/png":  encoded(t, "image/png", small),
		"image/jpeg": encoded(t, "image/jpeg", small),
		"image/gif":  encoded(t, "image/gif", small),
		"image/webp": webp("VP8X", 0, 0, 0, 0, 39, 0, 0, 29, 0, 0),
	} {
		p, err := picture.New("x", data)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		if p.MediaType != kind || p.Width != 40 || p.Height != 30 || !bytes.Equal(p.Data, data) || p.Bytes != len(data) || len(p.SHA256) != 64 {
			t.Errorf("%s: got %s, %s", kind, p, p.MediaType)
		}
	}
	for _, data := range [][]byte{webp("VP8 ", 0, 0, 0, 0x9d, 1, 0x2a, 40, 0, 30, 0), webp("VP8L", 0x2f, 39, 0x40, 7, 0)} {
		if p, err := picture.New("x", data); err != nil || p.Width != 40 || p.Height != 30 {
			t.Errorf("got %v, %v", p, err)
		}
	}
}

// A picture of one long line takes no more memory than its points.
func TestWidePictureTakesItsMemory(t *testing.T) {
	data := encoded(t, "image/png", image.NewGray(image.Rect(0, 0, 4_000_000, 1)))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p, err := picture.New("x", data)
	runtime.ReadMemStats(&after)
	if err != nil || p.Width != picture.Edge || p.Height != 1 {
		t.Fatalf("got %v, %v", p, err)
	}
	if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 40 { // 4 decoded, 16 as RGBA
		t.Errorf("it took %d MB", took)
	}
}

// What is too large is made smaller, and always small enough; what is sharp
// stays PNG, what is noisy becomes JPEG.
func TestLargePicturesAreMadeSmaller(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		img        image.Image
		from, want string
		w, h       int
	}{
		"plot":      {drawn(2000, 1000, false), "image/png", "image/png", 1568, 784},
		"photo":     {drawn(1700, 850, true), "image/jpeg", "image/jpeg", 1568, 784},
		"noise":     {drawn(600, 600, true), "image/png", "image/jpeg", 600, 600},
		"tall":      {drawn(10, 5000, false), "image/png", "image/png", 3, 1568},
		"thin":      {drawn(20000, 1, false), "image/png", "image/png", 1568, 1},
		"cartoon":   {image.NewPaletted(image.Rect(0, 0, 1600, 1600), color.Palette{color.Black, color.White}), "image/gif", "image/png", 1568, 1568},
		"16 bits":   {image.NewNRGBA64(image.Rect(0, 0, 1600, 10)), "image/png", "image/png", 1568, 9},
		"grayscale": {image.NewGray(image.Rect(0, 0, 1600, 10)), "image/jpeg", "image/jpeg", 1568, 9},
	} {
		p, err := picture.New("x", encoded(t, tt.from, tt.img))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if p.MediaType != tt.want || p.Width != tt.w || p.Height != tt.h || len(p.Data) > picture.MostBytes {
			t.Errorf("%s: got %s, %s", name, p, p.MediaType)
		}
		if c, _, err := image.DecodeConfig(bytes.NewReader(p.Data)); err != nil || c.Width != tt.w || c.Height != tt.h {
			t.Errorf("%s: the data has %d×%d, %v", name, c.Width, c.Height, err)
		}
	}
}

// A thin line of a plot is paler when it is made smaller, and not lost.
func TestLinesSurvive(t *testing.T) {
	t.Parallel()
	img := drawn(4000, 100, false)
	for x := range 4000 {
		img.Set(x, 51, color.Black)
	}
	p, err := picture.New("x", encoded(t, "image/png", img))
	if err != nil {
		t.Fatal(err)
	}
	small, err := png.Decode(bytes.NewReader(p.Data))
	if err != nil {
		t.Fatal(err)
	}
	for x := range p.Width {
		darkest := uint32(0xffff)
		for y := range p.Height {
			r, _, _, _ := small.At(x, y).RGBA()
			darkest = min(darkest, r)
		}
		if darkest > 0xc000 {
			t.Fatalf("the line is lost at %d: %x", x, darkest)
		}
	}
}

// chunk is one chunk of a PNG.
func chunk(kind string, body []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	out = append(append(out, kind...), body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

// pngOf is a PNG that says it has that size.
func pngOf(w, h uint32) []byte {
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)
	return append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", append(head, 8, 6, 0, 0, 0))...)
}

func TestRefused(t *testing.T) {
	t.Parallel()
	whole := encoded(t, "image/png", drawn(40, 30, true))
	photo := encoded(t, "image/jpeg", drawn(40, 30, true))
	cartoon := encoded(t, "image/gif", drawn(40, 30, false))
	binary.LittleEndian.PutUint16(cartoon[6:], 65535)
	binary.LittleEndian.PutUint16(cartoon[8:], 65535)
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"a bomb":         {append(pngOf(60000, 60000), whole[33:]...), "60000×60000 points, more than 40 million"},
		"a GIF bomb":     {cartoon, "65535×65535"},
		"a WebP bomb":    {webp("VP8X", 0, 0, 0, 0, 255, 255, 255, 255, 255, 255), "more than 40 million"},
		"a large WebP":   {webp("VP8X", 0, 0, 0, 0, 0xdc, 5+3, 0, 29, 0, 0), "make a PNG or JPEG of it"},
		"half a PNG":     {whole[:len(whole)/2], "read the picture"},
		"half a JPEG":    {photo[:len(photo)/2], "read the picture"},
		"only a header":  {whole[:10], "header"},
		"no size":        {pngOf(0, 0), "header"},
		"half a WebP":    {webp("VP8X")[:20], "WebP"},
		"another frame":  {webp("ABCD"), "WebP"},
		"lossy, broken":  {webp("VP8 ", 1, 2, 3, 4, 5, 6), "WebP"},
		"without a loss": {webp("VP8L", 1), "WebP"},
	} {
		p, err := picture.New("x", tt.data)
		if err == nil || errors.Is(err, picture.ErrNone) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, %v", name, p, err)
		}
	}
	for _, data := range []string{"", "hello", "<svg/>", "BM6", "%PDF-1.7", "RIFF\x00\x00\x00\x00WAVE", "II*\x00"} {
		if _, err := picture.New("x.png", []byte(data)); !errors.Is(err, picture.ErrNone) {
			t.Errorf("%q: %v", data, err)
		}
	}
}

// A PNG with a wrong checksum, as the reference server of the Model Context
// Protocol has one, is taken, and goes out with the right one.
func TestWrongChecksum(t *testing.T) {
	t.Parallel()
	good := encoded(t, "image/png", drawn(40, 30, true))
	bad := bytes.Clone(good)
	bad[len(bad)-14] ^= 1 // of the data
	bad[30] ^= 1          // of the header
	before := bytes.Clone(bad)
	p, err := picture.New("x", bad)
	if err != nil || !bytes.Equal(p.Data, good) || !bytes.Equal(bad, before) {
		t.Errorf("got %v, %v", p, err)
	}
}

// Whatever the bytes are, there is a picture that fits or an error.
func FuzzNew(f *testing.F) {
	small := drawn(8, 6, true)
	for _, kind := range []string{"image/png", "image/jpeg", "image/gif"} {
		f.Add(encoded(f, kind, small))
	}
	f.Add(webp("VP8X", 0, 0, 0, 0, 39, 0, 0, 29, 0, 0))
	f.Add(webp("VP8L", 0x2f, 39, 0x40, 7, 0))
	f.Add(pngOf(3000, 2))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		p, err := picture.New("x", data)
		if err != nil {
			return
		}
		if p.MediaType == "" || p.Width <= 0 || p.Height <= 0 || len(p.Data) == 0 || len(p.Data) > picture.MostBytes || max(p.Width, p.Height) > 2000 {
			t.Errorf("got %s, %s", p, p.MediaType)
		}
	})
}
