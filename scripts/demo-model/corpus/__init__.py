"""The generated corpus of the demo model: grammar and phrases, notes, small talk, and how they become conversations."""
