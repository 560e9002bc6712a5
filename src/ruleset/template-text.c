/* The template's bytes, put into the program by the assembler. */
#include "ruleset/template-text.h"

__asm__(".section .rodata\n"
	".global template_text\n"
	".global template_text_end\n"
	".balign 8\n"
	"template_text:\n"
	".incbin \"" TEMPLATE_FILE "\"\n"
	"template_text_end:\n"
	".byte 0\n"
	".previous\n");
