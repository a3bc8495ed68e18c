/* Says how Xen's own libxlutil reads a configuration or a disk: what xl's reader is compared with.
 *   xlu-reader cfg KEY...   configuration on standard input; KEY=VALUE lines, strings as <s>, lists as [...]
 *   xlu-reader disk SPEC    path, vdev, format, read-write, CD-ROM, script
 */

#include <libxlutil.h>
#include <stdio.h>
#include <string.h>

static void print_value(const XLU_ConfigValue *value)
{
    XLU_ConfigValue *v = (XLU_ConfigValue *)value;
    XLU_ConfigList *list = NULL;
    char *text = NULL;

    if (xlu_cfg_value_type(v) == XLU_STRING) {
        xlu_cfg_value_get_string(NULL, v, &text, 1);
        printf("<%s>", text);
        return;
    }
    xlu_cfg_value_get_list(NULL, v, &list, 1);
    putchar('[');
    for (int i = 0; (value = xlu_cfg_get_listitem2(list, i)) != NULL; i++)
        print_value(value);
    putchar(']');
}

static int print_disk(XLU_Config *config, const char *spec)
{
    libxl_device_disk disk;

    libxl_device_disk_init(&disk);
    if (xlu_disk_parse(config, 1, &spec, &disk))
        return puts("error") < 0;
    printf("path=%s vdev=%s format=%s rw=%d cdrom=%d script=%s\n", disk.pdev_path ? disk.pdev_path : "",
           disk.vdev, libxl_disk_format_to_string(disk.format), disk.readwrite, disk.is_cdrom,
           disk.script ? disk.script : "");
    return 0;
}

int main(int count, char **words)
{
    static char text[65536];
    XLU_Config *config = xlu_cfg_init(stderr, "cfg");

    if (count == 3 && !strcmp(words[1], "disk"))
        return print_disk(config, words[2]);
    if (xlu_cfg_readdata(config, text, fread(text, 1, sizeof text, stdin)))
        return puts("error") < 0;
    for (int i = 2; i < count; i++) {
        XLU_ConfigList *list;
        const XLU_ConfigValue *item;
        const char *string;

        if (!xlu_cfg_get_list(config, words[i], &list, 0, 1)) {
            printf("%s=[", words[i]);
            for (int k = 0; (item = xlu_cfg_get_listitem2(list, k)) != NULL; k++)
                print_value(item);
            puts("]");
        } else if (!xlu_cfg_get_string(config, words[i], &string, 1)) {
            printf("%s=<%s>\n", words[i], string);
        }
    }
    return 0;
}
