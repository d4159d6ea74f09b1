package picture

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
)

// smallest is the side below which nothing is made smaller.
const smallest = 64

// shrunk is a picture of at most Edge at its longer side and MostBytes. What is
// no photograph stays PNG if that is small enough: it is sharper.
func shrunk(kind string, from image.Image) (string, image.Point, []byte, error) {
	for edge := Edge; ; edge = edge * 3 / 4 {
		small := scaled(from, edge)
		size := small.Bounds().Size()
		var out bytes.Buffer
		if kind != "image/jpeg" {
			if err := png.Encode(&out, small); err != nil {
				return "", size, nil, err
			}
			if out.Len() <= MostBytes {
				return "image/png", size, out.Bytes(), nil
			}
		}
		out.Reset()
		if err := jpeg.Encode(&out, onWhite(small), &jpeg.Options{Quality: 85}); err != nil {
			return "", size, nil, err
		}
		if out.Len() <= MostBytes || edge < smallest {
			return "image/jpeg", size, out.Bytes(), nil
		}
	}
}

// onWhite puts what is transparent on white, as a page would: JPEG has none.
func onWhite(from *image.RGBA) *image.RGBA {
	if from.Opaque() {
		return from
	}
	out := image.NewRGBA(from.Bounds())
	draw.Draw(out, out.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.Draw(out, out.Bounds(), from, from.Bounds().Min, draw.Over)
	return out
}

// scaled is the picture with its longer side no longer than edge. Each point is
// the mean of those that it stands for, so that thin lines of a plot get paler
// and none is lost. Rows are turned into RGBA a few at a time: the whole of a
// large one would take as much memory again.
func scaled(from image.Image, edge int) *image.RGBA {
	b := from.Bounds()
	w, h := b.Dx(), b.Dy()
	tw, th := w, h
	if long := max(w, h); long > edge {
		tw, th = max(w*edge/long, 1), max(h*edge/long, 1)
	}
	out := image.NewRGBA(image.Rect(0, 0, tw, th))
	if tw == w && th == h {
		draw.Draw(out, out.Bounds(), from, b.Min, draw.Src)
		return out
	}
	rows := image.NewRGBA(image.Rect(0, 0, w, min(h, h/th+2))) // of a very wide one, more rows would be more than all of it
	for y := range th {
		top, bottom := y*h/th, max((y+1)*h/th, y*h/th+1)
		draw.Draw(rows, image.Rect(0, 0, w, bottom-top), from, b.Min.Add(image.Pt(0, top)), draw.Src)
		for x := range tw {
			left, right := x*w/tw, max((x+1)*w/tw, x*w/tw+1)
			mean(rows, left, right, bottom-top, out.Pix[out.PixOffset(x, y):][:4])
		}
	}
	return out
}

// mean is the mean colour of a box of the rows, whose colours are premultiplied.
func mean(rows *image.RGBA, left, right, n int, out []uint8) {
	var sum [4]int
	for y := range n {
		line := rows.Pix[rows.PixOffset(left, y):rows.PixOffset(right, y)]
		for i := 0; i < len(line); i += 4 {
			sum[0] += int(line[i])
			sum[1] += int(line[i+1])
			sum[2] += int(line[i+2])
			sum[3] += int(line[i+3])
		}
	}
	points := (right - left) * n
	for i := range sum {
		out[i] = uint8((sum[i] + points/2) / points)
	}
}
