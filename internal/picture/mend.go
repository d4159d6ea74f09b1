package picture

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// mendPNG is a PNG with the checksums that its chunks should have: programs write
// wrong ones, other decoders read over them, and a provider may not. One whose
// checksums are right is the same bytes.
func mendPNG(data []byte) []byte {
	mended := data
	for at := 8; at+12 <= len(data); {
		size := int(binary.BigEndian.Uint32(data[at:]))
		end := at + 12 + size
		if size < 0 || end > len(data) {
			break
		}
		sum := crc32.ChecksumIEEE(data[at+4 : end-4])
		if binary.BigEndian.Uint32(data[end-4:]) != sum {
			if &mended[0] == &data[0] {
				mended = bytes.Clone(data)
			}
			binary.BigEndian.PutUint32(mended[end-4:], sum)
		}
		at = end
	}
	return mended
}
