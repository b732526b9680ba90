<annotationlist>
<annotation><image><name>/home/kit/TUD-Brussels/DaSide-006.png</name></image>
<annorect><x1>3</x1><y1>4</y1><x2>9</x2><y2>20</y2><score>-1</score></annorect>
<annorect><x1>21</x1><y1>6</y1><x2>30</x2><y2>25</y2><score>-1</score></annorect></annotation>
<annotation><image><name>/home/kit/TUD-Brussels/DaSide-007.png</name></image></annotation>
</annotationlist>
