package queue

// MoveSteps lets a test see each call of a mover before it is sent, and after its reply.
func MoveSteps(f func(step string)) { moveStep = f }
