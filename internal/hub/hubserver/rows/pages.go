package rows

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// Bounds of a row group, of which the decoder holds one page of each column: a
// file of some kilobytes can have pages of gigabytes.
const (
	maxPages      = 512 << 20 // bytes of the largest pages of all columns
	maxPageValues = 16 << 20  // of one page
	valueSize     = 8         // bytes that one takes at least, once it is read
)

// checkGroup refuses a row group that takes too much memory to read. It looks
// at the headers of all pages, and makes sure that they tell the truth.
func checkGroup(content io.ReaderAt, g *format.RowGroup) error {
	var sum int64
	for i := range g.Columns {
		if g.Columns[i].FilePath != "" {
			return fmt.Errorf("%w (a column is in another file)", errDamaged)
		}
		size, err := checkChunk(content, &g.Columns[i].MetaData)
		if err != nil {
			return err
		}
		if sum += size; sum > maxPages {
			return fmt.Errorf("the Parquet file has pages of more than %d MiB", maxPages>>20)
		}
	}
	return nil
}

// checkChunk returns how much the dictionary and the largest page of a column
// take.
func checkChunk(content io.ReaderAt, m *format.ColumnMetaData) (int64, error) {
	at := m.DataPageOffset
	if m.DictionaryPageOffset != 0 {
		at = m.DictionaryPageOffset
	}
	var protocol thrift.CompactProtocol
	var dictionary, largest int64
	for end := at + m.TotalCompressedSize; at < end; {
		in := &counted{r: io.NewSectionReader(content, at, end-at)}
		buf := bufio.NewReaderSize(in, 512)
		var h format.PageHeader
		if err := thrift.NewDecoder(protocol.NewReader(buf)).Decode(&h); err != nil {
			return 0, fmt.Errorf("%w (%w)", errDamaged, err)
		}
		at += in.n - int64(buf.Buffered())
		values := int64(max(h.DataPageHeader.V.NumValues, h.DataPageHeaderV2.V.NumValues))
		if h.CompressedPageSize < 0 || h.UncompressedPageSize < 0 || values < 0 {
			return 0, errDamaged
		}
		if h.UncompressedPageSize > maxPages || values > maxPageValues {
			return 0, fmt.Errorf("the Parquet file has a page of %d bytes and %d values", h.UncompressedPageSize, values)
		}
		page := io.NewSectionReader(content, at, int64(h.CompressedPageSize))
		if err := checkPage(page, &h, m.Codec); err != nil {
			return 0, err
		}
		at += int64(h.CompressedPageSize)
		if size := int64(h.UncompressedPageSize) + values*valueSize; h.Type == format.DictionaryPage {
			dictionary = max(dictionary, size)
		} else {
			largest = max(largest, size)
		}
	}
	return dictionary + largest, nil
}

// checkPage makes sure that a page has no more content than its header says,
// as far as that is for the decoder to find out too late.
func checkPage(page *io.SectionReader, h *format.PageHeader, codec format.CompressionCodec) error {
	if v2 := h.DataPageHeaderV2; v2.Valid {
		levels := int64(v2.V.RepetitionLevelsByteLength) + int64(v2.V.DefinitionLevelsByteLength)
		if levels < 0 || levels > page.Size() {
			return errDamaged
		}
		page = io.NewSectionReader(page, levels, page.Size()-levels)
		if v2.V.IsCompressed.Valid && !v2.V.IsCompressed.V {
			return nil
		}
	}
	most := int64(h.UncompressedPageSize)
	switch codec {
	case format.Uncompressed:
		return nil
	case format.Snappy:
		head := make([]byte, min(page.Size(), 10))
		if _, err := page.ReadAt(head, 0); err != nil {
			return fmt.Errorf("%w (%w)", errDamaged, err)
		}
		if n, err := snappy.DecodedLen(head); err != nil || int64(n) > most {
			return errDamaged
		}
		return nil
	case format.Zstd:
		return checkZstd(page, most)
	case format.Gzip:
		z, err := gzip.NewReader(bufio.NewReader(page))
		if err != nil {
			return fmt.Errorf("%w (%w)", errDamaged, err)
		}
		return checkLength(z, most)
	}
	// The decoder of LZ4 asks for more and more memory when a page is damaged.
	return fmt.Errorf("the Parquet file is compressed by %s, which is not read here", codec)
}

// checkZstd believes a page that is one frame of a stated size, which the
// decoder holds it to, and reads others.
func checkZstd(page *io.SectionReader, most int64) error {
	data, err := io.ReadAll(page)
	if err != nil {
		return fmt.Errorf("%w (%w)", errDamaged, err)
	}
	var h zstd.Header
	if h.Decode(data) == nil && h.HasFCS && h.FrameContentSize <= uint64(most) && oneFrame(data, h) {
		return nil
	}
	z, err := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return fmt.Errorf("%w (%w)", errDamaged, err)
	}
	defer z.Close()
	return checkLength(z, most)
}

// oneFrame reports whether the data ends with the frame that it begins with.
func oneFrame(data []byte, h zstd.Header) bool {
	if h.Skippable {
		return false
	}
	at := h.HeaderSize
	for last := false; !last; {
		if at+3 > len(data) {
			return false
		}
		b := uint32(data[at]) | uint32(data[at+1])<<8 | uint32(data[at+2])<<16
		at += 3
		last = b&1 == 1
		if b>>1&3 == 1 { // one byte, many times
			at++
		} else {
			at += int(b >> 3)
		}
	}
	if h.HasCheckSum {
		at += 4
	}
	return at == len(data)
}

func checkLength(r io.Reader, most int64) error {
	n, err := io.Copy(io.Discard, io.LimitReader(r, most+1))
	if err != nil {
		return fmt.Errorf("%w (%w)", errDamaged, err)
	}
	if n > most {
		return errDamaged
	}
	return nil
}

// batchOf is how many rows of a group are read at once: fewer, the longer the
// lists in them are.
func batchOf(group parquet.RowGroup) int {
	rows, values := max(group.NumRows(), 1), int64(1)
	for _, c := range group.ColumnChunks() {
		values = max(values, c.NumValues())
	}
	return int(min(max(maxBatchValues/max(values/rows, 1), 1), parquetBatch))
}

const maxBatchValues = 1 << 20

type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
