package checkpoint

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
)

// Values of the restricted pickle machine: nil, bool, int, *big.Int, float64,
// string, pBytes, *pList, *pDict, pTuple, and the results of its host.
type (
	pBytes []byte
	pTuple []any
	pList  struct{ items []any }
	pDict  struct{ keys, vals []any } // in order; a repeated key stands twice
	// pGlobal is a name that the host allowed: "collections.OrderedDict".
	pGlobal string
)

// pickleHost decides what names mean. It never runs code of the file.
type pickleHost struct {
	// global says what module.name is; an error refuses it.
	global func(name string) (any, error)
	// call is what REDUCE does with an allowed global.
	call func(f pGlobal, args pTuple) (any, error)
	// persistent resolves a persistent id.
	persistent func(id any) (any, error)
}

// pickleMachine runs the instructions of one pickle after the other.
type pickleMachine struct {
	in    *bufio.Reader
	pos   int64 // bytes consumed
	size  int64 // bytes that there are at most
	host  pickleHost
	stack []any
	marks []int
	memo  map[int]any
}

// refusedError is an instruction or a name that a checkpoint does not need.
type refusedError struct{ what string }

func (e *refusedError) Error() string {
	return fmt.Sprintf("refused: %s; a checkpoint needs tensors, dicts and plain values only", e.what)
}

func newPickleMachine(r io.Reader, size int64, host pickleHost) *pickleMachine {
	return &pickleMachine{in: bufio.NewReaderSize(r, 1<<16), size: size, host: host}
}

func (m *pickleMachine) byte() (byte, error) {
	b, err := m.in.ReadByte()
	if err != nil {
		return 0, short(err)
	}
	m.pos++
	return b, nil
}

func short(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// bytes reads n bytes, after checking that there are as many.
func (m *pickleMachine) bytes(n uint64) ([]byte, error) {
	if n > uint64(max(0, m.size-m.pos)) {
		return nil, io.ErrUnexpectedEOF
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(m.in, b); err != nil {
		return nil, short(err)
	}
	m.pos += int64(n)
	return b, nil
}

// uint reads n bytes, little endian.
func (m *pickleMachine) uint(n int) (uint64, error) {
	b, err := m.bytes(uint64(n))
	if err != nil {
		return 0, err
	}
	var full [8]byte
	copy(full[:], b)
	return binary.LittleEndian.Uint64(full[:]), nil
}

// line reads up to a line end, which is not part of the result.
func (m *pickleMachine) line() (string, error) {
	const most = 4096
	var b []byte
	for len(b) < most {
		c, err := m.byte()
		if err != nil {
			return "", err
		}
		if c == '\n' {
			return string(b), nil
		}
		b = append(b, c)
	}
	return "", errors.New("a name is too long")
}

var errUnderflow = errors.New("broken pickle: stack is empty")

func (m *pickleMachine) push(v any) { m.stack = append(m.stack, v) }

// floor is the first place of the stack that belongs to the innermost mark.
func (m *pickleMachine) floor() int {
	if len(m.marks) > 0 {
		return m.marks[len(m.marks)-1]
	}
	return 0
}

func (m *pickleMachine) pop() (any, error) {
	if len(m.stack) <= m.floor() {
		return nil, errUnderflow
	}
	v := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	return v, nil
}

func (m *pickleMachine) popN(n int) ([]any, error) {
	if len(m.stack)-n < m.floor() {
		return nil, errUnderflow
	}
	vs := append([]any(nil), m.stack[len(m.stack)-n:]...)
	m.stack = m.stack[:len(m.stack)-n]
	return vs, nil
}

// popMark takes everything above the innermost mark.
func (m *pickleMachine) popMark() ([]any, error) {
	if len(m.marks) == 0 {
		return nil, errors.New("broken pickle: no mark")
	}
	at := m.marks[len(m.marks)-1]
	vs := append([]any(nil), m.stack[at:]...)
	m.stack, m.marks = m.stack[:at], m.marks[:len(m.marks)-1]
	return vs, nil
}

func (m *pickleMachine) top() (any, error) {
	if len(m.stack) <= m.floor() {
		return nil, errUnderflow
	}
	return m.stack[len(m.stack)-1], nil
}

// load runs one pickle and returns its value.
func (m *pickleMachine) load() (any, error) {
	m.stack, m.marks, m.memo = m.stack[:0], m.marks[:0], map[int]any{}
	for {
		op, err := m.byte()
		if err != nil {
			return nil, err
		}
		if op == '.' { // STOP
			return m.pop()
		}
		if err := m.step(op); err != nil {
			return nil, err
		}
	}
}

// step runs one instruction; the comments are their names in pickletools.
func (m *pickleMachine) step(op byte) error {
	switch op {
	case 0x80: // PROTO
		v, err := m.byte()
		if err == nil && v > 5 {
			err = fmt.Errorf("pickle protocol %d is not supported", v)
		}
		return err
	case 0x95: // FRAME
		_, err := m.bytes(8)
		return err
	case '(': // MARK
		m.marks = append(m.marks, len(m.stack))
	case '0': // POP
		_, err := m.pop()
		return err
	case '1': // POP_MARK
		_, err := m.popMark()
		return err
	case '2': // DUP
		v, err := m.top()
		if err != nil {
			return err
		}
		m.push(v)
	case 'N': // NONE
		m.push(nil)
	case 0x88, 0x89: // NEWTRUE, NEWFALSE
		m.push(op == 0x88)
	case 'J', 'K', 'M', 0x8a, 0x8b, 'G': // BININT, BININT1, BININT2, LONG1, LONG4, BINFLOAT
		return m.number(op)
	case 'X', 0x8c, 0x8d, 'T', 'U', 'B', 'C', 0x8e: // strings and bytes
		return m.text(op)
	case ')': // EMPTY_TUPLE
		m.push(pTuple{})
	case 0x85, 0x86, 0x87: // TUPLE1, TUPLE2, TUPLE3
		vs, err := m.popN(int(op) - 0x84)
		if err != nil {
			return err
		}
		m.push(pTuple(vs))
	case 't': // TUPLE
		vs, err := m.popMark()
		if err != nil {
			return err
		}
		m.push(pTuple(vs))
	case ']': // EMPTY_LIST
		m.push(&pList{})
	case 'l': // LIST
		vs, err := m.popMark()
		if err != nil {
			return err
		}
		m.push(&pList{vs})
	case 'a', 'e': // APPEND, APPENDS
		return m.appendItems(op)
	case '}': // EMPTY_DICT
		m.push(&pDict{})
	case 's', 'u': // SETITEM, SETITEMS
		return m.setItems(op)
	case 'q', 'r', 0x94, 'h', 'j': // BINPUT, LONG_BINPUT, MEMOIZE, BINGET, LONG_BINGET
		return m.memoOp(op)
	case 'c', 0x93: // GLOBAL, STACK_GLOBAL
		return m.global(op)
	case 'Q': // BINPERSID
		id, err := m.pop()
		if err != nil {
			return err
		}
		v, err := m.host.persistent(id)
		if err != nil {
			return err
		}
		m.push(v)
	case 'R': // REDUCE
		vs, err := m.popN(2)
		if err != nil {
			return err
		}
		f, okF := vs[0].(pGlobal)
		args, okA := vs[1].(pTuple)
		if !okF || !okA {
			return &refusedError{"a call of something that is not a known name"}
		}
		v, err := m.host.call(f, args)
		if err != nil {
			return err
		}
		m.push(v)
	case 'b': // BUILD
		vs, err := m.popN(2)
		if err != nil {
			return err
		}
		// torch hangs _metadata on the dict; nothing else has a state here
		if _, ok := vs[0].(*pDict); !ok {
			return &refusedError{"an object with a state of its own"}
		}
		m.push(vs[0])
	default:
		return &refusedError{fmt.Sprintf("pickle instruction 0x%02x", op)}
	}
	return nil
}

func (m *pickleMachine) number(op byte) error {
	switch op {
	case 'J':
		n, err := m.uint(4)
		m.push(int(int32(n)))
		return err
	case 'K':
		n, err := m.uint(1)
		m.push(int(n))
		return err
	case 'M':
		n, err := m.uint(2)
		m.push(int(n))
		return err
	case 'G':
		b, err := m.bytes(8)
		if err != nil {
			return err
		}
		m.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
		return nil
	}
	width := 1
	if op == 0x8b {
		width = 4
	}
	n, err := m.uint(width)
	if err != nil {
		return err
	}
	if n > 1024 {
		return errors.New("broken pickle: an integer of more than 1024 bytes")
	}
	b, err := m.bytes(n)
	if err != nil {
		return err
	}
	m.push(longInt(b))
	return nil
}

// longInt is a little-endian two's complement number: int when it fits.
func longInt(b []byte) any {
	rev := make([]byte, len(b))
	for i, c := range b {
		rev[len(b)-1-i] = c
	}
	n := new(big.Int).SetBytes(rev)
	if len(b) > 0 && b[len(b)-1]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	if n.IsInt64() {
		return int(n.Int64())
	}
	return n
}

// text reads BINUNICODE, SHORT_BINUNICODE, BINUNICODE8, BINSTRING,
// SHORT_BINSTRING, BINBYTES, SHORT_BINBYTES, BINBYTES8.
func (m *pickleMachine) text(op byte) error {
	width := map[byte]int{'X': 4, 0x8c: 1, 0x8d: 8, 'T': 4, 'U': 1, 'B': 4, 'C': 1, 0x8e: 8}[op]
	n, err := m.uint(width)
	if err != nil {
		return err
	}
	b, err := m.bytes(n)
	if err != nil {
		return err
	}
	if op == 'B' || op == 'C' || op == 0x8e {
		m.push(pBytes(b))
	} else {
		m.push(string(b))
	}
	return nil
}

func (m *pickleMachine) appendItems(op byte) error {
	var vs []any
	var err error
	if op == 'a' {
		vs, err = m.popN(1)
	} else {
		vs, err = m.popMark()
	}
	if err != nil {
		return err
	}
	v, err := m.top()
	if err != nil {
		return err
	}
	l, ok := v.(*pList)
	if !ok {
		return errors.New("broken pickle: append to something that is not a list")
	}
	l.items = append(l.items, vs...)
	return nil
}

func (m *pickleMachine) setItems(op byte) error {
	var vs []any
	var err error
	if op == 's' {
		vs, err = m.popN(2)
	} else {
		vs, err = m.popMark()
	}
	if err != nil {
		return err
	}
	v, err := m.top()
	if err != nil {
		return err
	}
	d, ok := v.(*pDict)
	if !ok || len(vs)%2 != 0 {
		return errors.New("broken pickle: items for something that is not a dict")
	}
	for i := 0; i < len(vs); i += 2 {
		d.keys = append(d.keys, vs[i])
		d.vals = append(d.vals, vs[i+1])
	}
	return nil
}

func (m *pickleMachine) memoOp(op byte) error {
	width := map[byte]int{'q': 1, 'r': 4, 'h': 1, 'j': 4}[op]
	key := len(m.memo)
	if op != 0x94 {
		n, err := m.uint(width)
		if err != nil {
			return err
		}
		key = int(n)
	}
	if op == 'h' || op == 'j' {
		v, ok := m.memo[key]
		if !ok {
			return fmt.Errorf("broken pickle: nothing remembered as %d", key)
		}
		m.push(v)
		return nil
	}
	v, err := m.top()
	if err != nil {
		return err
	}
	m.memo[key] = v
	return nil
}

func (m *pickleMachine) global(op byte) error {
	var module, name string
	if op == 'c' {
		var err error
		if module, err = m.line(); err != nil {
			return err
		}
		if name, err = m.line(); err != nil {
			return err
		}
	} else {
		vs, err := m.popN(2)
		if err != nil {
			return err
		}
		var okM, okN bool
		module, okM = vs[0].(string)
		name, okN = vs[1].(string)
		if !okM || !okN {
			return errors.New("broken pickle: a name that is not text")
		}
	}
	v, err := m.host.global(module + "." + name)
	if err != nil {
		return err
	}
	m.push(v)
	return nil
}
