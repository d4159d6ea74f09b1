package openai

import "bufio"

// first peeks at the first byte that is not a blank, which tells a JSON object
// from a stream. A byte order mark goes with the blanks.
func first(br *bufio.Reader) (byte, error) {
	for {
		b, err := br.ReadByte()
		if err != nil {
			return 0, err
		}
		switch b {
		case ' ', '\t', '\r', '\n', 0xEF, 0xBB, 0xBF:
		default:
			return b, br.UnreadByte()
		}
	}
}
