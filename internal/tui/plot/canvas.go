package plot

// A canvas is a field of dots, two by four in each cell.
type canvas struct {
	w, h  int // in cells
	cells []rune
}

func newCanvas(w, h int) *canvas {
	w, h = max(w, 1), max(h, 1)
	c := &canvas{w: w, h: h, cells: make([]rune, w*h)}
	return c
}

// dot sets one dot; y counts from below.
func (c *canvas) dot(x, y int) {
	y = 4*c.h - 1 - y
	bits := [4][2]rune{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}
	c.cells[y/4*c.w+x/2] |= bits[y%4][x%2]
}

// curve joins each point with the one before it, but not over a gap.
func (c *canvas) curve(points []Point, r bounds) {
	joined := false
	var x0, y0 int
	for _, p := range points {
		if !r.drawn(p) {
			joined = false
			continue
		}
		fx, fy := r.place(p)
		x, y := int(fx*float64(2*c.w-1)+0.5), int(fy*float64(4*c.h-1)+0.5)
		if joined {
			c.line(x0, y0, x, y)
		} else {
			c.dot(x, y)
		}
		x0, y0, joined = x, y, true
	}
}

// line is Bresenham's.
func (c *canvas) line(x0, y0, x1, y1 int) {
	dx, dy := abs(x1-x0), -abs(y1-y0)
	sx, sy := sign(x1-x0), sign(y1-y0)
	for e := dx + dy; ; {
		c.dot(x0, y0)
		if x0 == x1 && y0 == y1 {
			return
		}
		twice := 2 * e
		if twice >= dy {
			e, x0 = e+dy, x0+sx
		}
		if twice <= dx {
			e, y0 = e+dx, y0+sy
		}
	}
}

// rows are the cells as text. A cell without dots is a space.
func (c *canvas) rows() []string {
	rows := make([]string, c.h)
	for y := range rows {
		line := make([]rune, c.w)
		for x := range line {
			if line[x] = ' '; c.cells[y*c.w+x] != 0 {
				line[x] = 0x2800 + c.cells[y*c.w+x]
			}
		}
		rows[y] = string(line)
	}
	return rows
}

func abs(n int) int { return max(n, -n) }

func sign(n int) int {
	switch {
	case n > 0:
		return 1
	case n < 0:
		return -1
	}
	return 0
}
